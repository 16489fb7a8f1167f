package firewall

import (
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// settleTime is how long a change of the ruleset may go on before it is looked
// at: a firewall or a Docker Engine that starts makes many changes.
const settleTime = 100 * time.Millisecond

// Watch calls changed, never twice at once, some time after another program has
// removed a table or made a chain anywhere in the host's ruleset: it is then
// that Mend and Admit may have something to do. stop ends it and waits for the
// last call.
func Watch(changed func()) (stop func(), err error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	wake := make(chan struct{}, 1)
	received := make(chan struct{})
	go func() {
		defer close(received)
		defer close(wake)
		for {
			messages, err := conn.Receive()
			relevant := errors.Is(err, unix.ENOBUFS) // some were lost
			if err != nil && !relevant {
				return // closed
			}
			for _, m := range messages {
				kind := int(m.Header.Type) & 0xff
				relevant = relevant || kind == unix.NFT_MSG_DELTABLE || kind == unix.NFT_MSG_NEWCHAIN
			}
			if relevant {
				select {
				case wake <- struct{}{}:
				default:
				}
			}
		}
	}()
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		for range wake {
			select {
			case <-received:
				return
			case <-time.After(settleTime):
			}
			changed()
		}
	}()
	return func() {
		conn.Close()
		<-received
		<-handled
	}, nil
}
