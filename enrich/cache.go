package enrich

import (
	"strings"
	"sync"
)

// AgentCacheSize is how many user agents a worker remembers: more than a busy
// site sees in an hour, and at most about 20 MB whoever chooses the strings.
const AgentCacheSize = 20_000

// AgentCache remembers what [Agent] said of the strings seen last. Memory is
// bounded: strings are cut at 512 bytes and copied, and at most its size of
// them are kept. Safe for concurrent use.
//
// It keeps two generations instead of an exact order of use: an entry that is
// asked for again moves to the young one; when the young one is full it
// becomes the old one and the old one is dropped. What is in use stays, what
// was seen once goes, and a hit writes nothing.
type AgentCache struct {
	half int // entries of one generation

	mu    sync.RWMutex // guards both generations
	young map[string]UserAgent
	old   map[string]UserAgent
}

// NewAgentCache returns an empty cache of at most size entries.
func NewAgentCache(size int) *AgentCache {
	return &AgentCache{half: max(1, size/2), young: map[string]UserAgent{}}
}

// Agent returns what the function [Agent] returns for the same string.
func (c *AgentCache) Agent(ua string) UserAgent {
	ua = clip(ua, maxAgent)
	c.mu.RLock()
	got, ok := c.young[ua]
	c.mu.RUnlock()
	if ok {
		return got
	}
	return c.miss(ua)
}

func (c *AgentCache) miss(ua string) UserAgent {
	c.mu.RLock()
	got, ok := c.old[ua]
	c.mu.RUnlock()
	if !ok {
		got = Agent(ua)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[string]UserAgent, c.half)
	}
	c.young[strings.Clone(ua)] = got
	return got
}

// len returns how many entries are kept.
func (c *AgentCache) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young) + len(c.old)
}
