// Package endurance holds the tests that were written to break a running
// berthd: they kill it at random moments under a mixed load, take its disk away,
// damage its files, attack it from containers, images and the network, and
// count what is left. Each test starts a daemon of its own in a network
// namespace of its own, so that every device, address and firewall rule in there is
// that daemon's.
//
// The daemon is the plain one, not one that watches for data races: the tests
// bound memory and latency.
//
// It needs root, the programs of bin/ ("make build") and the Debian packages of
// "make setup-test"; whatever is missing is a failure, not a skip. Random draws
// come from a seed that is printed: BERTH_SEED repeats a run's draws, BERTH_ROUNDS sets
// how many rounds there are, BERTH_TIME how long they go on where that is what counts.
package endurance
