package engine

import "math/rand/v2"

var (
	qualities = [...]string{
		"agile", "amber", "ample", "azure", "brave", "breezy", "bright", "brisk", "calm", "candid",
		"clever", "coastal", "cosy", "crisp", "daring", "deft", "eager", "early", "earnest", "fair",
		"fleet", "fond", "frank", "fresh", "gentle", "glad", "golden", "grand", "hardy", "hearty",
		"honest", "ideal", "jolly", "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry",
		"mild", "modest", "neat", "nimble", "noble", "open", "patient", "plain", "polar", "prompt",
		"proud", "quick", "quiet", "rapid", "ready", "robust", "rosy", "sandy", "silent", "silver",
		"sleek", "smart", "snug", "sober", "solid", "sound", "spry", "steady", "still", "stout",
		"sunny", "sure", "swift", "tidal", "tidy", "tranquil", "true", "vivid", "warm", "wise",
	}
	vessels = [...]string{
		"anchor", "barge", "beacon", "brig", "buoy", "cabin", "canoe", "capstan", "caravel", "clipper",
		"coble", "cog", "compass", "cutter", "deck", "dhow", "dinghy", "dock", "dory", "ferry",
		"fluyt", "frigate", "galleon", "galley", "gig", "gondola", "halyard", "harbour", "hatch", "helm",
		"hull", "jetty", "junk", "kayak", "keel", "ketch", "knot", "launch", "lighter", "lugger",
		"mast", "mooring", "oar", "packet", "pier", "pilot", "pinnace", "port", "prow", "punt",
		"quay", "raft", "reef", "rigging", "rudder", "sail", "sampan", "schooner", "scow", "sextant",
		"shoal", "skiff", "sloop", "smack", "spar", "starboard", "steamer", "stern", "tender", "tiller",
		"transom", "trawler", "tug", "wake", "wharf", "wherry", "windlass", "xebec", "yacht", "yawl",
	}
)

// inventName makes a name of a container that the client gave none.
func inventName() string {
	return qualities[rand.IntN(len(qualities))] + "_" + vessels[rand.IntN(len(vessels))]
}
