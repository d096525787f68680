package top

import (
	"context"
	"fmt"
	"time"

	"github.com/gdamore/tcell/v2"
)

// A look is an answer of the server, or why there is none.
type look struct {
	totals *totals
	err    error
}

// Screen shows o on the terminal until somebody types q or ctx ends. A server that
// does not answer to begin with is an error; one that stops answering is shown.
func Screen(ctx context.Context, o Options) error {
	source := o.source()
	first, err := source.ask(ctx)
	if err != nil {
		return err
	}
	terminal, err := tcell.NewScreen()
	if err != nil {
		return fmt.Errorf("the terminal: %w; lines come with | cat", err)
	}
	if err := terminal.Init(); err != nil {
		return fmt.Errorf("the terminal: %w; lines come with | cat", err)
	}
	defer terminal.Fini()
	terminal.HideCursor()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &screen{
		terminal: terminal,
		earlier:  first,
		looks:    make(chan look),
		keys:     make(chan tcell.Event),
		model:    model{place: o.place(), every: o.Interval, name: make(userNames).of},
	}
	go s.watch(ctx, source, o.Interval)
	go terminal.ChannelEvents(s.keys, ctx.Done())
	s.run(ctx)
	return nil
}

// A screen is a terminal and what it shows. Only run touches what follows looks.
type screen struct {
	terminal tcell.Screen
	looks    chan look
	keys     chan tcell.Event
	earlier  *totals
	model    model
}

// watch looks at the server again and again.
func (s *screen) watch(ctx context.Context, from source, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		totals, err := from.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case s.looks <- look{totals, err}:
		}
	}
}

// run draws whenever something has changed, until it is to end.
func (s *screen) run(ctx context.Context) {
	for {
		s.draw()
		select {
		case <-ctx.Done():
			return
		case l := <-s.looks:
			s.take(l)
		case event, open := <-s.keys:
			if !open || s.heed(event) {
				return
			}
		}
	}
}

// take takes a look to the model. While it is paused only the server's end shows.
func (s *screen) take(l look) {
	m := &s.model
	if l.err != nil {
		if m.failure == "" {
			m.since = time.Now()
		}
		m.failure = l.err.Error()
		return
	}
	m.failure = ""
	if !m.paused {
		m.interval = between(s.earlier, l.totals)
	}
	s.earlier = l.totals
}

// heed does what an event asks for, and reports whether it is to end.
func (s *screen) heed(event tcell.Event) (quit bool) {
	key, ok := event.(*tcell.EventKey)
	if !ok {
		s.terminal.Sync() // another size
		return false
	}
	m := &s.model
	switch {
	case key.Key() == tcell.KeyCtrlC, key.Rune() == 'q':
		return true
	case key.Key() == tcell.KeyCtrlL:
		s.terminal.Sync()
	case key.Rune() == 'p', key.Rune() == ' ':
		m.paused = !m.paused
	case key.Rune() == 's':
		m.order = (m.order + 1) % order(orders)
	}
	return false
}

func (s *screen) draw() {
	s.terminal.Clear()
	width, height := s.terminal.Size()
	for y, r := range s.model.view(width, height) {
		style := tcell.StyleDefault.Bold(r.bold).Reverse(r.reverse)
		x := 0
		for _, c := range r.text {
			s.terminal.SetContent(x, y, c, nil, style)
			x++
		}
	}
	s.terminal.Show()
}
