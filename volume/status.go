package volume

// Status is one volume as one node sees it: the answer to "takt volume status".
type Status struct {
	Name      string           `json:"name"`
	Node      string           `json:"node"`
	Minor     int              `json:"minor"`
	Running   bool             `json:"running"` // its process answers; else what follows is from its file and its metadata
	Role      Role             `json:"role"`
	Disk      DiskState        `json:"disk_state"`
	Client    bool             `json:"client,omitempty"` // diskless by design
	Size      int64            `json:"size"`             // bytes; 0 while unknown
	Backing   string           `json:"backing_disk,omitempty"`
	Meta      string           `json:"meta_disk,omitempty"`
	Frozen    []string         `json:"suspended,omitempty"` // why requests wait, in words
	Failing   bool             `json:"io_errors,omitempty"` // requests are answered with errors, Frozen says why
	Quorum    bool             `json:"quorum"`
	Set       *ClusterSet      `json:"cluster_set,omitempty"`  // nil: the volume is not run by a cluster
	Current   string           `json:"current_uuid,omitempty"` // 16 hex digits
	NBDSocket string           `json:"nbd_socket"`
	Device    string           `json:"device,omitempty"` // /dev/takt/by-name/NAME
	Front     string           `json:"front"`
	FrontWhy  string           `json:"front_reason,omitempty"`
	Read      uint64           `json:"read"`      // bytes since start, likewise below
	Written   uint64           `json:"written"`   //
	ALWrites  uint64           `json:"al_writes"` // transactions of the activity log
	BitWrites uint64           `json:"bm_writes"` // bitmap pages
	InFlight  int              `json:"in_flight"` // requests of the front end
	Advice    []string         `json:"advice,omitempty"`
	Peers     []ConnectionInfo `json:"connections"`
}

// ClusterSet is what the cluster has recorded about the replicas, as far as this node has heard.
type ClusterSet struct {
	Version uint64   `json:"version"` // 0: nothing yet
	Members []string `json:"members"` // nodes that are up to date
	Member  bool     `json:"member"`  // this one is
	Known   bool     `json:"known"`   // the cluster has spoken since the volume is up
}

// ConnectionInfo is how things stand with one peer.
type ConnectionInfo struct {
	Node      NodeID    `json:"peer_node_id"`
	Name      string    `json:"name"`
	Address   string    `json:"address"`
	State     ConnState `json:"connection_state"`
	Why       string    `json:"reason,omitempty"` // of StandAlone or a pause, in words
	Role      Role      `json:"peer_role"`
	Disk      DiskState `json:"peer_disk_state"`
	Protocol  Protocol  `json:"protocol"`
	TLS       bool      `json:"tls"`
	OutOfSync int64     `json:"out_of_sync"` // bytes
	Sent      uint64    `json:"sent"`        // bytes of data since start
	Received  uint64    `json:"received"`
	Pending   int       `json:"pending"` // writes that the peer has not acknowledged
	Unflushed int64     `json:"unflushed"`
	Found     int64     `json:"verify_found"`           // bytes that the last verify found, and no resync has copied since
	Unproven  string    `json:"verify_error,omitempty"` // why the last verify did not come to its end
	Sync      *Progress `json:"progress,omitempty"`     // of a resync or verify
}

// Progress is how far long work is.
type Progress struct {
	Done    int64   `json:"done"`    // bytes
	Total   int64   `json:"total"`   // bytes
	Percent float64 `json:"percent"` // 0 to 100
	Rate    int64   `json:"rate"`    // bytes a second, of the last seconds
	Left    int64   `json:"left_ms"` // -1: unknown
	Found   int64   `json:"found"`   // verify: bytes that differ
}

// Event is something that happened to a volume, or what was there when somebody began to listen.
type Event struct {
	Time int64 `json:"time_ms"` // Unix milliseconds
	// Action is "exists" for the state of a thing when the stream began, "-" for the end of these, "change" for a new
	// state, and "note" for what happened in words.
	Action string `json:"action"`
	// Kind is "volume" or "connection" of a state; of a note: role, disk, connection, sync, split-brain, frozen,
	// quorum, set, fence, size, config, error.
	Kind  string `json:"kind"`
	Name  string `json:"name"` // of the volume
	Node  string `json:"node"`
	Peer  string `json:"peer,omitempty"`
	Words string `json:"words,omitempty"`
	State *State `json:"state,omitempty"` // of "exists" and "change"
}

// State is what an event of a state says: of the volume, or of a connection.
type State struct {
	Role       string   `json:"role,omitempty"`
	Disk       string   `json:"disk_state,omitempty"`
	Size       int64    `json:"size,omitempty"`
	Quorum     *bool    `json:"quorum,omitempty"`
	Suspended  []string `json:"suspended,omitempty"`
	Connection string   `json:"connection_state,omitempty"`
	PeerRole   string   `json:"peer_role,omitempty"`
	PeerDisk   string   `json:"peer_disk_state,omitempty"`
	Percent    *float64 `json:"percent,omitempty"` // of a resync or verify: of whole percents
	OutOfSync  *int64   `json:"out_of_sync,omitempty"`
}
