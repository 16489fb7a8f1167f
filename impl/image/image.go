package image

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// Image is one image as the store knows it: its configuration and what the
// store recorded beside it. It is a snapshot; nobody changes it after Get or
// List returned it, and the caller must not either.
type Image struct {
	// ID is the sha256 of the raw configuration.
	ID digest.Digest
	// Raw is the configuration as it was loaded, byte for byte.
	Raw []byte
	// ConfigFile is Raw, parsed.
	ConfigFile
	// Parent is the image this one was built on or committed from. It is a
	// local record: empty after pull and import.
	Parent digest.Digest
	// Built says that this store committed it (a build's step, a container), so
	// that it holds what its configuration says was done. What came from elsewhere
	// may claim anything.
	Built bool
	// Tags are the familiar names ("busybox:latest", "host:5000/a/b:c"), sorted.
	Tags []string
	// RepoDigests are the familiar digest references ("busybox@sha256:…"), sorted.
	RepoDigests []string
	// Size is the number of file bytes in the layers that the parent image
	// does not have (all layers, without a parent).
	Size int64
	// VirtualSize is the number of file bytes in all layers.
	VirtualSize int64
	// Top is the chain id of the topmost layer; empty when the image has none.
	Top digest.Digest
	// Damaged is set when a layer of the image is missing or broken on disk.
	// Such an image can be listed, inspected and removed, but not used.
	Damaged error
}

// ConfigFile is the image configuration: the JSON whose digest is the image's
// id (image specification v1.2 of Docker, config.md of the OCI image
// specification). Fields that it does not name stay in Image.Raw.
type ConfigFile struct {
	Architecture    string     `json:"architecture,omitempty"`
	Variant         string     `json:"variant,omitempty"`
	OS              string     `json:"os,omitempty"`
	OSVersion       string     `json:"os.version,omitempty"`
	Created         *time.Time `json:"created,omitempty"`
	Author          string     `json:"author,omitempty"`
	Comment         string     `json:"comment,omitempty"`
	Container       string     `json:"container,omitempty"`
	DockerVersion   string     `json:"docker_version,omitempty"`
	Config          *Config    `json:"config,omitempty"`
	ContainerConfig *Config    `json:"container_config,omitempty"`
	RootFS          *RootFS    `json:"rootfs,omitempty"`
	History         []History  `json:"history,omitempty"`
}

// Config is what a container takes over from its image (Image.Config), and
// the configuration of the container an image was committed from
// (Image.ContainerConfig). Nil slices and maps mean null in the source.
type Config struct {
	Hostname        string
	Domainname      string
	User            string
	AttachStdin     bool
	AttachStdout    bool
	AttachStderr    bool
	ExposedPorts    map[string]struct{} `json:",omitempty"`
	PublishService  string              `json:",omitempty"`
	Tty             bool
	OpenStdin       bool
	StdinOnce       bool
	Env             []string
	Cmd             Words
	Healthcheck     *Healthcheck `json:",omitempty"`
	ArgsEscaped     bool         `json:",omitempty"`
	Image           string
	Volumes         map[string]struct{}
	WorkingDir      string
	Entrypoint      Words
	NetworkDisabled bool   `json:",omitempty"`
	MacAddress      string `json:",omitempty"`
	OnBuild         []string
	Labels          map[string]string
	StopSignal      string `json:",omitempty"`
	Shell           Words  `json:",omitempty"`
}

// Healthcheck is the test of an image that later engines know. This engine
// carries it through load and save; durations are nanoseconds.
type Healthcheck struct {
	Test        []string `json:",omitempty"`
	Interval    int64    `json:",omitempty"`
	Timeout     int64    `json:",omitempty"`
	StartPeriod int64    `json:",omitempty"`
	Retries     int      `json:",omitempty"`
}

// Words is a command line: a JSON list, or one string as old images have it.
type Words []string

// RootFS names the layers, lowest first, by the digests of their
// uncompressed tars.
type RootFS struct {
	Type    string          `json:"type"`
	DiffIDs []digest.Digest `json:"diff_ids,omitempty"`
}

// History is one step in the making of an image, oldest first.
type History struct {
	Created    *time.Time `json:"created,omitempty"`
	Author     string     `json:"author,omitempty"`
	CreatedBy  string     `json:"created_by,omitempty"`
	Comment    string     `json:"comment,omitempty"`
	EmptyLayer bool       `json:"empty_layer,omitempty"`
}

// HistoryEntry is one line of GET /images/(name)/history, newest first.
type HistoryEntry struct {
	// ID is the image's id for the first line and for a line whose image is
	// here too; "<missing>" for the others.
	ID        string
	Created   time.Time
	CreatedBy string
	Comment   string
	// Tags are the familiar names of the image of this line; nil when it has none.
	Tags []string
	// Size is the number of file bytes of the step's layer.
	Size int64
}

// Removed is one record of DELETE /images/(name): exactly one field is set.
type Removed struct {
	// Untagged is the familiar reference that was taken away.
	Untagged string
	// Deleted is the id of an image, or the chain id of a layer, that is gone.
	Deleted string
	// Image is the id of the image that the record is about; empty for layers.
	// Events are made of it.
	Image digest.Digest
}

// Loaded is an image that Load made, or found already present.
type Loaded struct {
	ID digest.Digest
	// Refs are the familiar names the archive gave the image; empty for an
	// image without a name.
	Refs []string
}

// Progress is a step of a long operation, for the JSON progress streams.
// Current and Total are bytes; Total is 0 when it is not known.
type Progress struct {
	ID      string
	Status  string
	Current int64
	Total   int64
}

// ProgressFunc receives progress. It is called from one goroutine at a time
// and must not block for long. A nil ProgressFunc is allowed everywhere.
type ProgressFunc func(Progress)

// User is a container that uses an image; Remove asks for them.
type User struct {
	// ID is the container's full id.
	ID string
	// Running says whether it runs (or is paused or restarting).
	Running bool
}
