// Command udpecho answers each datagram on a port with itself. Debian's
// busybox has no server for datagrams; this one is mounted into a container.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	conn, err := net.ListenPacket("udp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buffer := make([]byte, 65536)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if _, err := conn.WriteTo(buffer[:n], from); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
