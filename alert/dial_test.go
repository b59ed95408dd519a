package alert

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestRefusePrivate(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "93.184.216.34": true, "100.63.255.255": true, "100.128.0.1": true, "172.32.0.1": true, "2606:2800:220:1::1": true,
		"::ffff:8.8.8.8": true,

		"127.0.0.1": false, "127.9.9.9": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false, "192.0.0.8": false, "198.18.0.1": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "192.0.2.1": false, "203.0.113.9": false, "198.51.100.1": false,

		"::": false, "::1": false, "fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false,
		"64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false, "2001:db8::1": false, "100::1": false, "5f00::1": false,
	} {
		err := refusePrivate(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(address), 443).String(), nil)
		if (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"", "example.org:443", "2130706433:80"} {
		if refusePrivate(t.Context(), "tcp", address, nil) == nil {
			t.Errorf("%q is taken for a public address", address)
		}
	}
}

// A name that leads to a private address is refused where it is connected to;
// nothing comes there.
func TestNamesOfPrivateAddresses(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	h := Hook{URL: "http://inside.example" + port + "/secret-path", Key: []byte("k")}
	err := h.post(t.Context(), h.client(answering(netip.MustParseAddr("127.0.0.1"))), "msg_1", nil)
	if err == nil || !strings.Contains(err.Error(), "no public address") || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("got %v", err)
	}
	if asked {
		t.Error("the server was reached")
	}
	h.AllowPrivate = true
	if err := h.post(t.Context(), h.client(answering(netip.MustParseAddr("127.0.0.1"))), "msg_1", nil); err != nil || !asked {
		t.Errorf("allowed, it fails: %v", err)
	}
}

// answering is a resolver for which every name has one IPv4 address.
func answering(a netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for answerName(server, a) == nil {
			}
		}()
		return client, nil
	}}
}

// answerName answers one DNS query as over TCP (RFC 1035, 4.1 and 4.2.2).
func answerName(c net.Conn, a netip.Addr) error {
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return err
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, query); err != nil {
		return err
	}
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	question := query[12 : end+5]
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if question[len(question)-3] == 1 { // of type A
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
		reply = append(reply, a.AsSlice()...)
	}
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}
