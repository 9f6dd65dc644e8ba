package store

import (
	"time"
)

// run is the loop's life: it feeds the core and carries out what that wishes.
// It returns nil after Stop, else why it had to end.
func (s *Store) run() error {
	wake := time.NewTimer(0)
	defer wake.Stop()
	var batch []Event
	for {
		batch = batch[:0]
		select {
		case <-s.ctx.Done():
			effects, err := s.core.Close(time.Now())
			_ = s.carryOut(effects)
			return err
		case f := <-s.looks:
			f(s.core)
			continue
		case <-wake.C:
		case ev := <-s.events:
			batch = append(batch, ev)
		}
		batch = s.drain(batch)
		effects := s.core.Step(time.Now(), batch...)
		s.show()
		if err := s.carryOut(effects); err != nil {
			return err
		}
		clear(batch)
		wake.Reset(time.Until(s.core.WakeAt()))
	}
}

// drain takes what else has arrived, so that one sync covers all of it.
func (s *Store) drain(batch []Event) []Event {
	for range 1024 {
		select {
		case ev := <-s.events:
			batch = append(batch, ev)
		default:
			return batch
		}
	}
	return batch
}

// carryOut does what the core wishes, in order; it returns why the core stopped.
func (s *Store) carryOut(effects []Effect) (stopped error) {
	for _, e := range effects {
		switch e := e.(type) {
		case Send:
			s.out.send(uint64(e.To), e.Frame)
		case Peers:
			s.out.keep(e.IDs)
		case Changed:
			s.stateNews.notify()
		case Led:
			s.leadNews.notify()
		case Answered:
			if to, ok := s.asked.Load(e.ID); ok {
				to.(chan Answered) <- e
			}
		case Run:
			s.runJob(e.Job)
		case Superseded:
			if s.cfg.OnSuperseded != nil {
				s.cfg.OnSuperseded(e)
			}
		case Mismatched:
			if s.cfg.OnMismatch != nil {
				s.cfg.OnMismatch(e.Detail)
			}
		case Stopped:
			stopped = e.Err
		}
	}
	return stopped
}

func (s *Store) runJob(j *Job) {
	if !s.enter() {
		return
	}
	go func() {
		defer s.wg.Done()
		j.Run()
		s.post(Ran{j})
	}()
}
