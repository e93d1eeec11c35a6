package jobs

import (
	"encoding/json"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Info is a job in the API.
type Info struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	State     string          `json:"state" enum:"queued,running,done,failed,cancelled"`
	Progress  float64         `json:"progress" doc:"0 to 1."`
	Result    json.RawMessage `json:"result" doc:"Result of a job that is done; its file, if it has no other result."`
	File      *File           `json:"file,omitempty"`
	Error     *Error          `json:"error,omitempty"`
	CreatedAt web.Time        `json:"created_at"`
	StartedAt web.Time        `json:"started_at,omitzero"`
	EndedAt   web.Time        `json:"ended_at,omitzero"`

	Input json.RawMessage `json:"-"` // for pages; null when a private job has ended
}

// File locates a job's file, which is downloaded with the same credential.
type File struct {
	URL         string   `json:"url"`
	Name        string   `json:"name"`
	ContentType string   `json:"content_type"`
	Bytes       int64    `json:"bytes"`
	ExpiresAt   web.Time `json:"expires_at"`
}

// Error is the reason why a job failed.
type Error struct {
	Code    errs.Code `json:"code"`
	Message string    `json:"message"`
}

func (r jobRow) info() Info {
	info := Info{
		ID:        r.ID,
		Kind:      r.Kind,
		State:     r.State,
		Progress:  float64(r.Progress) / 1e6,
		Result:    r.Result,
		Input:     r.Input,
		CreatedAt: web.TimeOf(r.Created),
	}
	if r.Started > 0 {
		info.StartedAt = web.TimeOf(r.Started)
	}
	if r.Ended > 0 {
		info.EndedAt = web.TimeOf(r.Ended)
	}
	if r.State == Failed {
		info.Error = &Error{Code: errs.Code(r.ErrorCode), Message: r.ErrorMessage}
	}
	if r.downloadable(time.Now()) {
		info.File = &File{
			URL:         web.Base + "/accounts/" + r.Account + "/jobs/" + r.ID + "/file",
			Name:        r.FileName,
			ContentType: r.FileType,
			Bytes:       r.FileBytes,
			ExpiresAt:   web.TimeOf(r.Ended + filesKept.Microseconds()),
		}
	}
	return info
}

func (r jobRow) downloadable(now time.Time) bool {
	return r.State == Done && r.FileName != "" && now.UnixMicro() < r.Ended+filesKept.Microseconds()
}
