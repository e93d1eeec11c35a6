package notify

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// InboxOwner names an inbox.
type InboxOwner struct {
	Member string `query:"member" maxLength:"255" doc:"A member's id, or user:ID of a user of the customers' pages. Sessions leave it out: they have their own inbox"`
}

// InboxQuery chooses entries.
type InboxQuery struct {
	InboxOwner
	Part string `query:"part" enum:"open,unread,snoozed,archived" default:"open" doc:"open: neither archived nor snoozed"`
	web.Paging
}

// InboxPath names an entry in a path.
type InboxPath struct {
	InboxOwner
	EntryID string `path:"entry_id" maxLength:"64"`
}

// InboxRead marks an entry.
type InboxRead struct {
	Read *bool `json:"read,omitempty" doc:"false marks it as unread"`
}

// InboxArchive archives an entry.
type InboxArchive struct {
	Archived *bool `json:"archived,omitempty" doc:"false brings it back"`
}

// InboxSnooze hides an entry for a while.
type InboxSnooze struct {
	Until web.Time `json:"until,omitzero" doc:"At most 90 days ahead; it is unread then. Left out: it comes back now"`
}

// InboxCount counts entries.
type InboxCount struct {
	Unread int `json:"unread" doc:"Neither read, archived nor snoozed"`
}

type inboxReadIn struct {
	InboxPath
	Body *InboxRead
}

type inboxArchiveIn struct {
	InboxPath
	Body *InboxArchive
}

type inboxSnoozeIn struct {
	InboxPath
	Body *InboxSnooze
}

type inboxStreamIn struct {
	InboxOwner
	web.Resume
}

// inboxFor is the inbox that a request names. Acts of tokens need notifications:write;
// members act on their own inbox.
func inboxFor(ctx context.Context, owner InboxOwner, act bool) (accountID, member string, err error) {
	who := web.CurrentPrincipal(ctx)
	accountID = web.Account(ctx).ID
	if member, err = inboxOf(who, owner.Member); err != nil {
		return accountID, member, err
	}
	own := who.Kind == web.KindUser || who.Kind == web.KindPortal
	if act && !own && !who.Can(accountID, account.NotificationsWrite) {
		err = errs.New(errs.CodeForbidden, "the credential lacks the permission %s", account.NotificationsWrite)
	}
	return accountID, member, err
}

func (n *Feature) registerInbox(api *web.API) {
	const base = "/accounts/{account_id}/inbox"
	web.Get(api, web.Op{
		Path:       base,
		ID:         "list-inbox",
		Tag:        tag,
		Summary:    "List the inbox of a member",
		Permission: account.NotificationsRead,
		Description: "Alerts that policies send to the member, the newest first: one entry for an incident. An inbox has at " +
			"most 1,000 entries, for 90 days.",
	}, func(ctx context.Context, in *InboxQuery) (web.Page[InboxEntry], error) {
		accountID, member, err := inboxFor(ctx, in.InboxOwner, false)
		if err != nil {
			return web.Page[InboxEntry]{}, err
		}
		read := func(after web.Keyset, limit int) ([]InboxEntry, error) {
			return n.inbox(ctx, accountID, member, in.Part, after, limit)
		}
		return web.ReadPage(n.Cursors, "inbox "+accountID+" "+member+" "+in.Part, in.Paging, entryPosition, read)
	})
	web.Get(api, web.Op{
		Path:       base + "/unread",
		ID:         "count-unread-inbox",
		Tag:        tag,
		Summary:    "Count the unread entries of an inbox",
		Permission: account.NotificationsRead,
	}, func(ctx context.Context, in *InboxOwner) (InboxCount, error) {
		accountID, member, err := inboxFor(ctx, *in, false)
		if err != nil {
			return InboxCount{}, err
		}
		count, err := n.unread(ctx, accountID, member)
		return InboxCount{count}, err
	})
	web.Get(api, web.Op{
		Path:       base + "/stream",
		ID:         "stream-inbox",
		Tag:        tag,
		Summary:    "Follow the inbox of a member",
		Permission: account.NotificationsRead,
		Description: "Server-sent events: unread with the number of unread entries, and entry with each entry that is new or " +
			"has changed.",
		Stream:  true,
		Content: "text/event-stream",
	}, func(ctx context.Context, in *inboxStreamIn) (web.Events, error) {
		accountID, member, err := inboxFor(ctx, in.InboxOwner, false)
		return n.inboxEvents(accountID, member), err
	})
	n.registerInboxActs(api, base)
}

func (n *Feature) registerInboxActs(api *web.API, base string) {
	const description = "Members act on their own inbox; tokens need notifications:write."
	web.Post(api, web.Op{
		Path:        base + "/read_all",
		ID:          "read-inbox",
		Tag:         tag,
		Summary:     "Mark all entries of an inbox as read",
		Permission:  account.NotificationsRead,
		Description: description,
	}, func(ctx context.Context, in *InboxOwner) (InboxCount, error) {
		accountID, member, err := inboxFor(ctx, *in, true)
		if err == nil {
			_, err = n.changeEntries(ctx, accountID, member, nil, inboxChange{read: instant(n.Now())})
		}
		if err != nil {
			return InboxCount{}, err
		}
		count, err := n.unread(ctx, accountID, member)
		return InboxCount{count}, err
	})
	web.Post(api, web.Op{
		Path:        base + "/{entry_id}/read",
		ID:          "read-inbox-entry",
		Tag:         tag,
		Summary:     "Mark an entry of an inbox as read",
		Permission:  account.NotificationsRead,
		Description: description,
	}, func(ctx context.Context, in *inboxReadIn) (InboxEntry, error) {
		c := inboxChange{read: instant(n.Now())}
		if in.Body != nil {
			c.read = n.whenSet(in.Body.Read)
		}
		return n.actOnEntry(ctx, in.InboxPath, c)
	})
	web.Post(api, web.Op{
		Path:        base + "/{entry_id}/archive",
		ID:          "archive-inbox-entry",
		Tag:         tag,
		Summary:     "Archive an entry of an inbox",
		Permission:  account.NotificationsRead,
		Description: description,
	}, func(ctx context.Context, in *inboxArchiveIn) (InboxEntry, error) {
		c := inboxChange{archived: instant(n.Now())}
		if in.Body != nil {
			c.archived = n.whenSet(in.Body.Archived)
		}
		return n.actOnEntry(ctx, in.InboxPath, c)
	})
	web.Post(api, web.Op{
		Path:        base + "/{entry_id}/snooze",
		ID:          "snooze-inbox-entry",
		Tag:         tag,
		Summary:     "Snooze an entry of an inbox",
		Permission:  account.NotificationsRead,
		Description: description,
	}, func(ctx context.Context, in *inboxSnoozeIn) (InboxEntry, error) {
		var until time.Time
		if in.Body != nil {
			until = in.Body.Until.Time
		}
		change, err := n.snooze(until)
		if err != nil {
			return InboxEntry{}, err
		}
		return n.actOnEntry(ctx, in.InboxPath, change)
	})
}

func (n *Feature) actOnEntry(ctx context.Context, in InboxPath, c inboxChange) (InboxEntry, error) {
	accountID, member, err := inboxFor(ctx, in.InboxOwner, true)
	if err != nil {
		return InboxEntry{}, err
	}
	return n.changeEntry(ctx, accountID, member, in.EntryID, c)
}

// whenSet is now, or never when the flag is false.
func (n *Feature) whenSet(flag *bool) *int64 {
	if flag != nil && !*flag {
		return instant(time.Time{})
	}
	return instant(n.Now())
}

// snooze hides an entry until a time, when it is unread; the zero time brings it back.
func (n *Feature) snooze(until time.Time) (inboxChange, error) {
	if until.IsZero() {
		return inboxChange{snoozed: instant(until)}, nil
	}
	if now := n.Now(); until.Before(now) || until.After(now.AddDate(0, 0, maxSnooze)) {
		return inboxChange{}, errs.At(errs.CodeOutOfRange, "/until", "until must lie in the next %d days", maxSnooze)
	}
	return inboxChange{snoozed: instant(until), read: instant(time.Time{})}, nil
}

// inboxPoll is how often a stream looks for changes.
const inboxPoll = time.Second

// inboxEvents are the changes of an inbox. The id of an event is the time of the change.
func (n *Feature) inboxEvents(accountID, member string) web.Events {
	return web.Events{Source: func(ctx context.Context, lastID string, send func(web.Event) error) error {
		after, err := strconv.ParseInt(lastID, 10, 64)
		if err != nil || after < 0 {
			after = n.Now().UnixMicro()
		}
		shown := -1
		tick := time.NewTicker(inboxPoll)
		defer tick.Stop()
		for {
			changed, err := n.changedEntries(ctx, accountID, member, after)
			if err != nil {
				return err
			}
			for _, e := range changed {
				after = e.changed
				data, err := json.Marshal(e)
				if err != nil {
					return err
				}
				if err := send(web.Event{ID: strconv.FormatInt(after, 10), Name: "entry", Data: data}); err != nil {
					return err
				}
			}
			count, err := n.unread(ctx, accountID, member)
			if err != nil {
				return err
			}
			if count != shown {
				shown = count
				event := web.Event{Name: "unread", Data: []byte(`{"unread":` + strconv.Itoa(count) + `}`)}
				if err := send(event); err != nil {
					return err
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}}
}
