package systemd

import (
	"context"
	"errors"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"github.com/takt-ha/takt/agent"
)

// system is Bus on the real D-Bus.
type system struct{ conn *dbus.Conn }

func dialSystem(context.Context) (Bus, error) {
	// Not the operation's context: the connection outlives it.
	conn, err := dbus.NewWithContext(context.Background())
	if err != nil {
		return nil, err
	}
	return &system{conn}, nil
}

// Close ends the connection.
func (s *system) Close() { s.conn.Close() }

// Job implements Bus.
func (s *system) Job(ctx context.Context, action, unit string) (string, error) {
	result := make(chan string, 1)
	var err error
	switch action {
	case agent.Start:
		_, err = s.conn.StartUnitContext(ctx, unit, "replace", result)
	case agent.Stop:
		_, err = s.conn.StopUnitContext(ctx, unit, "replace", result)
	default:
		_, err = s.conn.ReloadUnitContext(ctx, unit, "replace", result)
	}
	if err != nil {
		return "", fmt.Errorf("%s unit %s: %w", action, unit, err)
	}
	select {
	case r := <-result:
		return r, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// State implements Bus.
func (s *system) State(ctx context.Context, unit string) (load, active, sub string, err error) {
	properties, err := s.conn.GetUnitPropertiesContext(ctx, unit)
	if err != nil {
		return "", "", "", fmt.Errorf("read the state of unit %s: %w", unit, err)
	}
	get := func(name string) string {
		v, _ := properties[name].(string)
		return v
	}
	return get("LoadState"), get("ActiveState"), get("SubState"), nil
}

// Changes implements Bus, on a connection of its own: signals that nobody
// reads must not hold up the answers to calls.
func (s *system) Changes(ctx context.Context, unit string, changed func()) error {
	conn, err := godbus.ConnectSystemBus(godbus.WithContext(ctx))
	if err != nil {
		return err
	}
	defer conn.Close()
	path := godbus.ObjectPath("/org/freedesktop/systemd1/unit/" + dbus.PathBusEscape(unit))
	err = conn.AddMatchSignalContext(ctx, godbus.WithMatchObjectPath(path), godbus.WithMatchInterface("org.freedesktop.DBus.Properties"), godbus.WithMatchMember("PropertiesChanged"))
	if err != nil {
		return err
	}
	if err := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1").CallWithContext(ctx, "org.freedesktop.systemd1.Manager.Subscribe", 0).Err; err != nil {
		return err
	}
	signals := make(chan *godbus.Signal, 64)
	conn.Signal(signals)
	changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-signals:
			if !ok {
				return errors.New("the connection to D-Bus was lost")
			}
			changed()
		}
	}
}

// Services implements Bus.
func (s *system) Services(ctx context.Context) ([]string, error) {
	units, err := s.conn.ListUnitsByPatternsContext(ctx, nil, []string{"*.service"})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, u := range units {
		if u.LoadState == "loaded" {
			names = append(names, u.Name)
		}
	}
	return names, nil
}
