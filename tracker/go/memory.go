package tracker

// memory is a queue that ends with the process.
type memory struct {
	events [][]byte
	bytes  int64
	max    int64
}

func (m *memory) add(event []byte) error {
	if m.bytes+int64(len(event)) > m.max {
		return ErrFull
	}
	m.events = append(m.events, event)
	m.bytes += int64(len(event))
	return nil
}

func (m *memory) next(events, bytes int) (batch [][]byte, damaged int, err error) {
	for n, e := range m.events[:min(events, len(m.events))] {
		if bytes -= len(e); bytes < 0 && n > 0 {
			return m.events[:n:n], 0, nil
		}
	}
	n := min(events, len(m.events))
	return m.events[:n:n], 0, nil
}

func (m *memory) done(n int) error {
	for _, e := range m.events[:n] {
		m.bytes -= int64(len(e))
	}
	clear(m.events[:n])
	m.events = m.events[n:]
	return nil
}

func (*memory) remember(end) error { return nil }
func (*memory) close() error       { return nil }
