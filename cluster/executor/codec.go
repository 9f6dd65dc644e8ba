package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"strings"
)

// A state file is one header line, "takt-executor VERSION CRC32C\n", and a body
// of JSON. It lives under /run: a crash of the machine takes it away with the
// resources that it tells of, so it is replaced atomically but never synced.
const (
	magic        = "takt-executor"
	version      = 1
	metaName     = "meta.json"
	resourceMark = "resource-"
	tempMark     = ".tmp"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("%s %d %08x\n", magic, version, crc32.Checksum(body, castagnoli))
	return append([]byte(head), body...), nil
}

func decode(data []byte, v any) error {
	head, body, ok := bytes.Cut(data, []byte("\n"))
	fields := strings.Fields(string(head))
	switch {
	case !ok || len(fields) != 3 || fields[0] != magic:
		return errors.New("not a state file of the executor")
	case fields[1] != fmt.Sprint(version):
		return fmt.Errorf("format version %s, this takt reads %d", fields[1], version)
	case fields[2] != fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)):
		return errors.New("checksum does not match")
	}
	return json.Unmarshal(body, v)
}

func fileName(resource string) string { return resourceMark + url.PathEscape(resource) + ".json" }
