// Package docs has the files of the guides, which the server shows at /docs.
package docs

import "embed"

// Files are the guides and the specification of the record's format.
//
//go:embed guide/*.md format.md
var Files embed.FS
