package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/examples/shop"
	"github.com/belfryhq/belfry/internal/client"
)

// Names of the demo's objects.
const (
	checkout   = "checkout.shop.example"
	storefront = "www.shop.example"
	quiet      = "semicomplete.example" // the real site of 2015, under a reserved name
	visitor    = shop.UserEmail         // who sits at the keyboard
	visitorIs  = shop.UserName
)

// ids are the IDs of the objects that the set-up creates.
type ids struct{ account, producer, storefrontZone, quietZone string }

// setUp creates the account, its members, its product team, its objectives and its past, and after them its
// notification policies, so that no alert of the past is sent.
func (d *demo) setUp(ctx context.Context) error {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(d.Out, "%5.1f s  "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
	}
	s := d.now()
	var made ids
	if err := d.people(ctx, &s, &made); err != nil {
		return err
	}
	say("an account with its people, properties and a product team")
	if err := d.declare(ctx, &made); err != nil {
		return err
	}
	if err := d.objectives(ctx, &s); err != nil {
		return err
	}
	say("the shop's catalogue and three objectives")
	n, err := d.importHistory(ctx, &s)
	if err != nil {
		return err
	}
	say("%d changes of a real project, in an account of their own", n)
	events, requests, err := d.replay(ctx, s, say)
	if err != nil {
		return err
	}
	say("four weeks: %d changes and %s requests, in event time", events, thousands(requests))
	if err := d.platform(ctx); err != nil {
		return err
	}
	say("a status page with an incident and a maintenance of the past: %s/status", s.URL)
	if err := d.subscribe(ctx, &s, &made); err != nil {
		return err
	}
	say("notification policies: a signed webhook and a mail, both to your inbox")
	return d.update(func(now *State) { *now = s })
}

func (d *demo) people(ctx context.Context, s *State, made *ids) error {
	var account struct{ ID string }
	if err := d.api.JSON(ctx, http.MethodPut, "/accounts/external/demo", map[string]any{"name": "Shop"},
		&account); err != nil {
		return err
	}
	s.Account = account.ID
	made.account = "/accounts/" + account.ID
	// the beginning of the past that they made
	joined := time.Now().Add(-weeks * 7 * 24 * time.Hour).UTC().Format(time.RFC3339)
	var links []string
	for _, m := range [][3]string{
		{visitor, visitorIs, "owner"},
		{ana.Email, ana.Name, "admin"},
		{ben.Email, ben.Name, "editor"},
		{chen.Email, chen.Name, "viewer"},
	} {
		var member struct {
			SignIn string `json:"sign_in_url"`
		}
		if err := d.api.JSON(ctx, http.MethodPost, made.account+"/members",
			map[string]any{"email": m[0], "name": m[1], "role": m[2], "since": joined}, &member); err != nil {
			return err
		}
		if m[0] != visitor { // who comes by the link on the terminal
			links = append(links, member.SignIn)
		}
	}
	for _, link := range links {
		if err := enter(ctx, link); err != nil {
			return err
		}
	}
	for name, aliases := range map[string][]string{
		checkout:   {"api.shop.example"},
		storefront: {"shop.example"},
		quiet:      {"www." + quiet},
	} {
		var zone struct{ ID string }
		if err := d.api.JSON(ctx, http.MethodPost, made.account+"/zones", map[string]any{"name": name, "aliases": aliases},
			&zone); err != nil {
			return err
		}
		switch name {
		case storefront:
			made.storefrontZone = zone.ID
		case quiet:
			made.quietZone = zone.ID
		}
	}
	var token struct{ Value string }
	if err := d.api.JSON(ctx, http.MethodPost, made.account+"/tokens",
		map[string]any{"name": "demo", "permissions": []string{"*"}}, &token); err != nil {
		return err
	}
	s.Token = token.Value
	if err := d.api.JSON(ctx, http.MethodPost, made.account+"/tokens",
		map[string]any{"name": "shop", "permissions": []string{"audit:write", "traffic:write"}}, &token); err != nil {
		return err
	}
	s.ShopToken = token.Value
	var team struct{ ID string }
	if err := d.api.JSON(ctx, http.MethodPost, "/producers", map[string]any{"name": "Shop team"}, &team); err != nil {
		return err
	}
	made.producer = team.ID
	return nil
}

// enter signs a member in with a one-time link, because the actors of the past are members of the account. The
// fragment of the link is the body of the form that its page sends.
func enter(ctx context.Context, link string) error {
	if link == "" {
		return errors.New("the answer for a new member has no sign-in link")
	}
	u, err := url.Parse(link)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.Scheme+"://"+u.Host+u.Path, strings.NewReader(u.Fragment))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", u.Scheme+"://"+u.Host)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	browser := http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := browser.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("the sign-in of a member was answered with %d", res.StatusCode)
	}
	return nil
}

// declare applies the shop's catalogue as its team does.
func (d *demo) declare(ctx context.Context, made *ids) error {
	var token struct{ Value string }
	if err := d.api.JSON(ctx, http.MethodPost, "/producers/"+made.producer+"/tokens", map[string]any{"name": "ci"},
		&token); err != nil {
		return err
	}
	team := client.New(d.now().URL, token.Value)
	_, err := team.Call(ctx, client.Request{
		Method:      http.MethodPut,
		Path:        "/producers/" + made.producer + "/catalog",
		ContentType: "application/yaml",
		Body:        shop.Catalogue,
	})
	return err
}

func (d *demo) objectives(ctx context.Context, s *State) error {
	for _, o := range []struct {
		name, zone string
		target     float64
		id         *string
	}{
		{"Checkout availability", checkout, 99.95, &s.Objective},
		{"Storefront availability", storefront, 99.9, nil},
		{"Old site availability", quiet, 99.9, &s.Quiet},
	} {
		var made struct{ ID string }
		err := d.api.JSON(ctx, http.MethodPost, "/accounts/"+s.Account+"/slos", map[string]any{
			"name":   o.name,
			"match":  map[string]string{"zone": o.zone},
			"target": o.target,
			"window": "28d",
			"pairs":  "standard",
		}, &made)
		if err != nil {
			return err
		}
		if o.id != nil {
			*o.id = made.ID
		}
	}
	return nil
}

// subscribe creates the notification policies: the on-call for all properties but the old site, the storefront's team
// for its own property.
func (d *demo) subscribe(ctx context.Context, s *State, made *ids) error {
	base := made.account + "/alerting/v3"
	var hook struct {
		ID     string
		Secret string `json:"signing_secret"`
	}
	if err := d.api.JSON(ctx, http.MethodPost, base+"/destinations/webhooks",
		map[string]any{"name": "On-call hook", "url": s.Inbox + "/hook"}, &hook); err != nil {
		return err
	}
	s.Secret = hook.Secret
	d.inbox.Trust(hook.Secret)
	both := map[string]any{
		"webhooks": []any{map[string]string{"id": hook.ID}},
		"email":    []any{map[string]string{"id": visitor}},
	}
	for _, p := range []map[string]any{
		{
			"name":        "On-call",
			"description": "Everything but the old site",
			"filters":     map[string][]string{"zones.not": {made.quietZone}},
			"mechanisms":  both,
		},
		{
			"name":        "Storefront team",
			"description": "Their own property",
			"filters":     map[string][]string{"zones": {made.storefrontZone}},
			"mechanisms":  map[string]any{"email": []any{map[string]string{"id": ana.Email}}},
		},
	} {
		p["enabled"], p["alert_type"] = true, "belfry_budget_burn"
		if err := d.api.JSON(ctx, http.MethodPost, base+"/policies", p, nil); err != nil {
			return err
		}
	}
	return nil
}

// signIn returns a one-time link that opens the account's overview.
func (d *demo) signIn(ctx context.Context) (string, error) {
	base := "/accounts/" + d.now().Account + "/members"
	var members []struct{ ID, Email string }
	if err := d.api.JSON(ctx, http.MethodGet, base, nil, &members); err != nil {
		return "", err
	}
	for _, m := range members {
		if m.Email != visitor {
			continue
		}
		var link struct{ URL string }
		if err := d.api.JSON(ctx, http.MethodPost, base+"/"+m.ID+"/sign_in_link", nil, &link); err != nil {
			return "", err
		}
		u, err := url.Parse(link.URL)
		if err != nil {
			return "", err
		}
		q := u.Query()
		q.Set("next", "/accounts/"+d.now().Account)
		u.RawQuery = q.Encode()
		return u.String(), nil
	}
	return "", fmt.Errorf("the account has no member %s", visitor)
}

// thousands formats 48384000 as 48,384,000.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
