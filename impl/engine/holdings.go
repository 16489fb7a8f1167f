package engine

// Holdings are numbers of what the engine has, from memory.
type Holdings struct {
	// Containers by State.Status.
	Containers                        map[string]int
	Images, Layers, Networks, Volumes int
	// LayerBytes is the sum of the files' sizes in all layers, BlobBytes of the
	// compressed layers that are kept.
	LayerBytes, BlobBytes int64
	EventReaders          int
}

// Holdings counts what the engine has now.
func (e *Engine) Holdings() Holdings {
	usage := e.Images.Usage()
	h := Holdings{
		Containers: map[string]int{}, Images: usage.Images, Layers: usage.Layers,
		LayerBytes: usage.LayerBytes, BlobBytes: usage.BlobBytes,
		Networks: len(e.Networks.Networks()), Volumes: len(e.Volumes.Kept()), EventReaders: e.Events.Readers(),
	}
	for _, c := range e.containers.List() {
		h.Containers[string(c.Record().State.Status)]++
	}
	return h
}
