package hookgate

import (
	"math/rand/v2"
	"time"
)

// Backoff says how long is waited before a stream is opened again. The ceiling of the first wait is Initial; later
// ceilings double, up to Maximum. Each wait is chosen at random between half of its ceiling and the ceiling, so that
// clients that lost one gateway at one moment do not come back at one moment.
type Backoff struct {
	Initial time.Duration // 0: 200 ms
	Maximum time.Duration // 0: 30 s
}

// delay returns the wait before attempt number attempt in a row, from 1. random is from 0 to 1.
func (b Backoff) delay(attempt int, random float64) time.Duration {
	initial, maximum := b.Initial, b.Maximum
	if initial <= 0 {
		initial = 200 * time.Millisecond
	}
	if maximum <= 0 {
		maximum = 30 * time.Second
	}
	ceiling := min(initial, maximum)
	for i := 1; i < attempt && ceiling < maximum; i++ {
		if ceiling > maximum/2 {
			ceiling = maximum
			break
		}
		ceiling *= 2
	}
	return time.Duration(float64(ceiling) * (0.5 + random/2))
}

// retries says when the next stream is opened, from how the ones before it ended.
type retries struct {
	backoff  Backoff
	failures int // Streams in a row that brought nothing.
}

// streamEnd is how one stream ended, if that is not the end of all.
type streamEnd struct {
	why    error
	useful bool // It brought something: an event, a delivery or a heartbeat.
	// The gateway said when to come back: in Draining, and with an error.
	draining       bool
	reconnectDelay time.Duration
	retryDelay     time.Duration
}

func (r *retries) delayAfter(end streamEnd) time.Duration {
	if end.draining {
		r.failures = 0 // It was the gateway's will, not its trouble.
		return max(end.reconnectDelay, 0)
	}
	if end.useful {
		r.failures = 0
	}
	r.failures = min(r.failures+1, 1000)
	return max(r.backoff.delay(r.failures, rand.Float64()), end.retryDelay)
}
