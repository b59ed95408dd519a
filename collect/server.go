package collect

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// Server returns a server with the limits a public listener needs: a client
// that dribbles its header or its body is closed, and so is one that does not
// read its answer. Handlers that must run longer set their own deadlines with
// http.ResponseController.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
}

// LimitListener lets at most n connections be open at once. Others wait in the
// kernel's backlog, which costs this process nothing.
func LimitListener(l net.Listener, n int) net.Listener {
	return &limitListener{Listener: l, free: make(chan struct{}, n), closed: make(chan struct{})}
}

type limitListener struct {
	net.Listener
	free   chan struct{} // holds one element per open connection
	once   sync.Once
	closed chan struct{}
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.free })}, nil
}

func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
