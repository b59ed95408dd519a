package web

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// cardDeadline ends one run of a card.
	cardDeadline = 15 * time.Second
	// cardsAtOnce bounds how many cards run together, so that a page being
	// opened does not take the whole pool from stages.
	cardsAtOnce = 4
	// restFactor: a card rests this many times as long as its last run took
	// before newer data makes it run again, as stages do.
	restFactor = 10
	// statusAge is how old a status may be that readers share.
	statusAge = time.Second
	// patience is how long a reader waits for what was never computed before.
	patience = 700 * time.Millisecond
)

// board keeps the last answer of every card, and the last status, so that any
// number of readers cost as much as one, and none at all nothing.
type board struct {
	backend Backend
	now     func() time.Time
	places  chan struct{} // one for each card that may run now

	mu     sync.Mutex // guards what follows
	cards  map[*Card]*cardState
	status statusState
}

// cardState is guarded by board.mu; done is closed by the goroutine that runs
// the card once it has stored the answer.
type cardState struct {
	data     CardData
	err      error
	revision int64     // the catalog's when the last run began
	ended    time.Time // of the last run; zero: there was none
	took     time.Duration
	started  time.Time     // of the run under way
	done     chan struct{} // nil: nothing is running
}

// statusState is guarded by board.mu.
type statusState struct {
	value Status
	err   error
	at    time.Time
	done  chan struct{} // nil: nobody is asking
}

func newBoard(o Options) *board {
	return &board{
		backend: o.Backend, now: o.Now, places: make(chan struct{}, cardsAtOnce),
		cards: map[*Card]*cardState{},
	}
}

// Status returns one that is at most a second old. Readers that come while one
// asks wait for the same answer.
func (b *board) Status(ctx context.Context) (Status, error) {
	b.mu.Lock()
	if b.status.done == nil && (b.status.at.IsZero() || b.now().Sub(b.status.at) >= statusAge) {
		b.status.done = make(chan struct{})
		go b.askStatus(context.WithoutCancel(ctx), b.status.done)
	}
	done := b.status.done
	b.mu.Unlock()
	if done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return Status{}, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status.value, b.status.err
}

func (b *board) askStatus(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, cardDeadline)
	defer cancel()
	value, err := b.backend.Status(ctx)
	b.mu.Lock()
	b.status = statusState{value: value, err: err, at: b.now()}
	b.mu.Unlock()
	close(done)
}

// cardView is what is known of a card at one moment.
type cardView struct {
	data    CardData
	err     error
	ready   bool          // it ran before
	running time.Duration // since when it is being computed; 0: it is not
}

// Cards returns what is known of each card, after having started those that
// newer data made old. It waits, for a moment, only for cards never computed.
func (b *board) Cards(ctx context.Context, cards []*Card, revision int64) []cardView {
	var first []chan struct{}
	b.mu.Lock()
	for _, c := range cards {
		s := b.stateOf(c)
		b.refresh(ctx, c, s, revision)
		if s.ended.IsZero() && b.now().Sub(s.started) < patience {
			first = append(first, s.done)
		}
	}
	b.mu.Unlock()
	b.wait(ctx, first)

	b.mu.Lock()
	defer b.mu.Unlock()
	views := make([]cardView, len(cards))
	for i, c := range cards {
		s := b.stateOf(c)
		views[i] = cardView{data: s.data, err: s.err, ready: !s.ended.IsZero()}
		if s.done != nil {
			views[i].running = max(b.now().Sub(s.started), 1)
		}
	}
	return views
}

func (b *board) stateOf(c *Card) *cardState {
	s := b.cards[c]
	if s == nil {
		s = &cardState{}
		b.cards[c] = s
	}
	return s
}

// refresh starts a run if one is due. An error is tried again at every
// revision, with the same rest.
func (b *board) refresh(ctx context.Context, c *Card, s *cardState, revision int64) {
	switch {
	case s.done != nil:
		return
	case s.ended.IsZero():
	case s.revision == revision, b.now().Sub(s.ended) < restFactor*s.took:
		return
	}
	s.done, s.started = make(chan struct{}), b.now()
	go b.run(context.WithoutCancel(ctx), c, s, revision, s.done)
}

// run computes a card for everybody: the reader who started it may leave.
func (b *board) run(ctx context.Context, c *Card, s *cardState, revision int64, done chan struct{}) {
	b.places <- struct{}{}
	began := b.now()
	ctx, cancel := context.WithTimeout(ctx, cardDeadline)
	data, err := b.backend.Card(ctx, c.SQL)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("it took longer than %v", cardDeadline)
	}
	cancel()
	<-b.places

	b.mu.Lock()
	if err == nil || s.ended.IsZero() {
		s.data = data
	}
	s.err, s.revision, s.ended = err, revision, b.now()
	s.took, s.done = s.ended.Sub(began), nil
	b.mu.Unlock()
	close(done)
}

func (b *board) wait(ctx context.Context, all []chan struct{}) {
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, done := range all {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}
