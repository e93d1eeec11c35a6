package notify

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// SilenceCreate is a silence as it is created.
type SilenceCreate struct {
	PolicyID  string              `json:"policy_id,omitempty" maxLength:"64" doc:"Silences one policy; all when left out"`
	AlertType string              `json:"alert_type,omitempty" maxLength:"255" doc:"All types when left out"`
	Filters   map[string][]string `json:"filters,omitempty" doc:"As of a policy: zones, severity, the filters of the type, each also as <key>.not"`
	Reason    string              `json:"reason,omitempty" maxLength:"500"`
	StartTime web.Time            `json:"start_time"`
	EndTime   web.Time            `json:"end_time" doc:"At most 366 days after start_time"`
}

// SilenceUpdate changes the fields of a silence that it has.
type SilenceUpdate struct {
	ID        string               `json:"id" maxLength:"64"`
	PolicyID  *string              `json:"policy_id,omitempty" maxLength:"64"`
	AlertType *string              `json:"alert_type,omitempty" maxLength:"255"`
	Filters   *map[string][]string `json:"filters,omitempty"`
	Reason    *string              `json:"reason,omitempty" maxLength:"500"`
	StartTime *web.Time            `json:"start_time,omitempty"`
	EndTime   *web.Time            `json:"end_time,omitempty" doc:"Now, to end it early"`
}

type silencesIn struct {
	Body []SilenceCreate `minItems:"1" maxItems:"50"`
}

type silencesPut struct {
	Body []SilenceUpdate `minItems:"1" maxItems:"50"`
}

// SilencePath names a silence in a path.
type SilencePath struct {
	SilenceID string `path:"silence_id" maxLength:"64"`
}

func (n *Feature) registerSilences(api *web.API) {
	const base = apiBase + "/silences"
	web.Get(api, web.Op{
		Path:        base,
		ID:          "list-silences",
		Tag:         tag,
		Summary:     "List silences",
		Permission:  account.NotificationsRead,
		Description: "The one that ends last first; ended ones stay for 90 days.",
	}, func(ctx context.Context, _ *struct{}) ([]Silence, error) {
		return n.Silences(ctx, web.Account(ctx).ID)
	})
	web.Post(api, web.Op{
		Path:       base,
		ID:         "create-silences",
		Errors:     []errs.Code{errs.CodeLimit, errs.CodeMissingFilter},
		Tag:        tag,
		Summary:    "Create silences",
		Permission: account.NotificationsWrite,
		Idempotent: true,
		Description: "Matching alerts are stored and shown, and not sent. Those that still fire when the silence ends are " +
			"evaluated again.",
	}, func(ctx context.Context, in *silencesIn) ([]Silence, error) {
		list := make([]Silence, len(in.Body))
		for i, b := range in.Body {
			list[i] = Silence{
				PolicyID:  b.PolicyID,
				AlertType: b.AlertType,
				Filters:   b.Filters,
				Reason:    b.Reason,
				StartTime: b.StartTime,
				EndTime:   b.EndTime,
			}
		}
		return n.CreateSilences(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, list)
	})
	web.Put(api, web.Op{
		Path:        base,
		ID:          "update-silences",
		Errors:      []errs.Code{errs.CodeStateConflict, errs.CodeMissingFilter},
		Tag:         tag,
		Summary:     "Change silences",
		Permission:  account.NotificationsWrite,
		Description: "Fields that are left out stay as they are. A silence that has ended cannot be changed.",
	}, func(ctx context.Context, in *silencesPut) ([]Silence, error) {
		out := make([]Silence, len(in.Body))
		for i, b := range in.Body {
			var err error
			out[i], err = n.UpdateSilence(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, b.ID, "/"+itoa(i),
				func(s *Silence) {
					setIfGiven(&s.PolicyID, b.PolicyID)
					setIfGiven(&s.AlertType, b.AlertType)
					setIfGiven(&s.Filters, b.Filters)
					setIfGiven(&s.Reason, b.Reason)
					setIfGiven(&s.StartTime, b.StartTime)
					setIfGiven(&s.EndTime, b.EndTime)
				})
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	})
	web.Get(api, web.Op{
		Path:       base + "/{silence_id}",
		ID:         "get-silence",
		Tag:        tag,
		Summary:    "Read a silence",
		Permission: account.NotificationsRead,
	}, func(ctx context.Context, in *SilencePath) (Silence, error) {
		return n.Silence(ctx, web.Account(ctx).ID, in.SilenceID)
	})
	web.Delete(api, web.Op{
		Path:        base + "/{silence_id}",
		ID:          "delete-silence",
		Tag:         tag,
		Summary:     "End or delete a silence",
		Permission:  account.NotificationsWrite,
		Description: "An active silence ends now and stays in the list; another one is deleted.",
	}, func(ctx context.Context, in *SilencePath) (Identified, error) {
		return Identified{in.SilenceID}, n.EndSilence(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.SilenceID)
	})
}
