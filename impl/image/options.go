package image

import "time"

// RemoveOptions are the parameters of DELETE /images/(name).
type RemoveOptions struct {
	// Force removes an image that several names or stopped containers hold.
	Force bool
	// NoPrune keeps untagged parents.
	NoPrune bool
}

// ImportOptions describe the image that Import makes of a tar.
type ImportOptions struct {
	// Ref is the name to give ("repo", "repo:tag"); empty for none.
	Ref string
	// Source is named in the default message: "-" for a request's body, else the URL.
	Source string
	// Message is the image's comment; empty means "Imported from <Source>".
	Message string
	// Changes are Dockerfile instructions applied to the configuration (CMD, ENV, …).
	Changes []string
	// Created is the image's date; zero means now.
	Created time.Time
	// DockerVersion is recorded in the configuration.
	DockerVersion string
}

// CommitOptions describe the image that Commit makes of a writable layer.
type CommitOptions struct {
	// Ref is the name to give; empty for none.
	Ref string
	// Author and Comment are recorded in the image and its history.
	Author, Comment string
	// Container is the container's id, ContainerConfig its configuration.
	Container       string
	ContainerConfig *Config
	// Config is the new image's configuration, before Changes; nil takes the
	// parent image's.
	Config *Config
	// Changes are Dockerfile instructions applied to Config.
	Changes []string
	// Created is the image's date; zero means now.
	Created time.Time
	// DockerVersion is recorded in the configuration.
	DockerVersion string
	// Adopt gives the image the files of the writable layer themselves instead of
	// copies. Nobody may use the layer any more, and whatever comes of it the layer
	// is then good for RemoveWritable only.
	Adopt bool
}
