package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestATokenIsRecognisedAndItsTyposAreNamed(t *testing.T) {
	value, hash := account.NewToken("blf_")
	if len(value) != 63 || !strings.HasPrefix(value, "blf_") {
		t.Fatal(value)
	}
	if got, err := account.ParseToken("blf_", value); err != nil || got != hash {
		t.Fatal(err)
	}
	wrong := map[string]string{
		"":                            "begin with",
		"blfp_" + value[4:]:           "begin with",
		value[:40]:                    "copied completely",
		value + "x":                   "copied completely",
		value[:20] + "!" + value[21:]: "character 21",
		strings.ToUpper(value):        "begin with",
	}
	for i := 4; i < len(value); i++ { // every single character that is mistyped
		c := "0"
		if value[i] == '0' {
			c = "1"
		}
		wrong[value[:i]+c+value[i+1:]] = "checksum"
	}
	for v, want := range wrong {
		_, err := account.ParseToken("blf_", v)
		if !errs.Is(err, errs.CodeAuthentication) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", v, err)
		}
	}
	if other, _ := account.NewToken("blf_"); other == value {
		t.Error("two tokens are the same")
	}
}

func FuzzParseToken(f *testing.F) {
	value, _ := account.NewToken("blf_")
	f.Add(value)
	f.Add("blf_")
	f.Fuzz(func(t *testing.T, s string) {
		hash, err := account.ParseToken("blf_", s)
		if err == nil && hash != account.HashOf(s) {
			t.Fatal(s)
		}
		if err != nil && len(s) > 8 && strings.Contains(err.Error(), s) {
			t.Fatalf("the error repeats the token: %v", err)
		}
	})
}

func TestATokenLivesUntilItIsRevoked(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		made := f.call(root, "POST", "/accounts/"+a+"/tokens", object{
			"name":        "ci",
			"permissions": []string{"tokens:read", "accounts:read"},
		}).ok()
		id := made.text("id")
		value := made.text("value")
		verified := f.call(value, "GET", "/user/tokens/verify", nil).ok()
		if verified.text("id") != id || verified.text("status") != "active" || verified.text("expires_on") != "" {
			t.Fatal(verified.Body)
		}
		list := f.call(value, "GET", "/accounts/"+a+"/tokens", nil).ok()
		if len(list.List) != 1 || strings.Contains(list.Body, value) || list.List[0]["value"] != nil {
			t.Fatal(list.Body)
		}
		if by, _ := list.List[0]["created_by"].(map[string]any); by["type"] != "staff" || by["id"] == "" {
			t.Fatalf("who made it: %v", list.List[0]["created_by"])
		}
		f.call(value, "POST", "/accounts/"+a+"/tokens", object{
			"name":        "x",
			"permissions": []string{"tokens:read"},
		}).fails(403, errs.CodeForbidden)
		f.call(root, "DELETE", "/accounts/"+a+"/tokens/"+id, nil).ok()
		// The revocation counts at once, although the token was cached.
		f.call(value, "GET", "/user/tokens/verify", nil).fails(401, errs.CodeAuthentication)
		f.call(root, "DELETE", "/accounts/"+a+"/tokens/"+id, nil).fails(404, errs.CodeNotFound)
		if got := f.recorded(a, "token"); len(got) != 2 || got[0] != "create success" || got[1] != "revoke success" {
			t.Fatal(got)
		}
		for _, e := range f.outbox() {
			if s := string(e.Before) + string(e.After); strings.Contains(s, value) || strings.Contains(s, value[4:20]) {
				t.Fatalf("a secret is in the record: %s", s)
			}
		}
	})
}

func TestAnotherProcessFollowsARevocationWithinSeconds(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		id, value := f.token(a, "audit:read")
		first := *f
		f.open() // another process over the same store
		f.call(value, "GET", "/user/tokens/verify", nil).ok()
		first.call(root, "DELETE", "/accounts/"+a+"/tokens/"+id, nil).ok()
		first.call(value, "GET", "/user/tokens/verify", nil).fails(401, errs.CodeAuthentication)
		f.call(value, "GET", "/accounts", nil).ok() // still cached: the documented limit is 5 s
		f.later(5 * time.Second)
		f.call(value, "GET", "/accounts", nil).fails(401, errs.CodeAuthentication)
	})
}

func TestATokenExpiresToTheMicrosecond(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		ends := time.UnixMicro(f.now.Load()).Add(time.Second)
		made := f.call(root, "POST", "/accounts/"+a+"/tokens", object{
			"name":        "x",
			"permissions": []string{"audit:read"},
			"expires_on":  ends.Format(time.RFC3339Nano),
		}).ok()
		value := made.text("value")
		if got := f.call(value, "GET", "/user/tokens/verify", nil).ok(); got.text("expires_on") == "" {
			t.Fatal(got.Body)
		}
		f.later(time.Second - time.Microsecond)
		f.call(value, "GET", "/user/tokens/verify", nil).ok()
		f.later(time.Microsecond)
		f.call(value, "GET", "/user/tokens/verify", nil).fails(401, errs.CodeTokenExpired)
		if got := f.call(root, "GET", "/accounts/"+a+"/tokens", nil).ok(); got.List[0]["status"] != "expired" {
			t.Fatal(got.Body)
		}
		f.call(root, "POST", "/accounts/"+a+"/tokens", object{
			"name":        "x",
			"permissions": []string{"audit:read"},
			"expires_on":  "2020-01-01T00:00:00Z",
		}).fails(400, errs.CodeOutOfRange)
	})
}

func TestATokenIsBoundToItsNetworks(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		made := f.call(root, "POST", "/accounts/"+a+"/tokens", object{
			"name":        "x",
			"permissions": []string{"audit:read"},
			"ip_allow":    []string{"192.0.2.128/25", "2001:db8::1"},
		}).ok()
		value := made.text("value")
		for addr, ok := range map[string]bool{
			"192.0.2.200":          true,
			"192.0.2.1":            false,
			"[2001:db8::1]":        true,
			"[2001:db8::2]":        false,
			"[::ffff:192.0.2.200]": true,
		} {
			got := f.call(value, "GET", "/user/tokens/verify", nil, "From-Address: "+addr)
			if ok {
				got.ok()
			} else {
				got.fails(403, errs.CodeTokenAddress)
			}
		}
		for _, bad := range []string{"example.com", "192.0.2.0/33", "::ffff:192.0.2.0/120", ""} {
			f.call(root, "POST", "/accounts/"+a+"/tokens", object{
				"name":        "x",
				"permissions": []string{"audit:read"},
				"ip_allow":    []string{bad},
			}).fails(400, errs.CodeInvalid)
		}
	})
}

func TestUnknownAndMistypedTokensAreRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		_, value := f.token(a, "audit:read")
		stranger, _ := account.NewToken(account.TokenPrefix)
		for _, token := range []string{
			stranger,
			value[:len(value)-1],
			mistyped(value),
			"blfp_abc",
			root[1:],
			root + "x",
			strings.ToUpper(root),
		} {
			f.call(token, "GET", "/user/tokens/verify", nil).fails(401, errs.CodeAuthentication)
		}
		f.call("", "GET", "/user/tokens/verify", nil).fails(401, errs.CodeAuthentication)
		f.call("", "GET", "/user/tokens/verify", nil, "Authorization: Basic "+value).fails(401, errs.CodeAuthentication)
		if got := f.call(mistyped(value), "GET", "/user/tokens/verify", nil); !strings.Contains(got.Body, "typo") {
			t.Error(got.Body)
		}
	})
}

func TestNobodyGrantsATokenMoreThanTheyHave(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		_, parent := f.token(a, "tokens:write", "audit:read")
		create := func(as string, body object) *response {
			return f.call(as, "POST", "/accounts/"+a+"/tokens", body)
		}
		create(parent, object{"name": "x", "permissions": []string{"audit:read"}}).ok()
		for _, p := range []string{"audit:write", "*", "accounts:write", "members:write"} {
			create(parent, object{"name": "x", "permissions": []string{"audit:read", p}}).fails(403, errs.CodeForbidden)
		}
		create(root, object{"name": "x", "permissions": []string{"audit:raed"}}).fails(400, errs.CodeInvalid)
		create(root, object{"name": "x", "permissions": []string{}}).fails(400, errs.CodeOutOfRange)
		// Every permission by name is still not "*".
		_, all := f.token(a, account.AllPermissions()...)
		create(all, object{"name": "x", "permissions": []string{"*"}}).fails(403, errs.CodeForbidden)
	})
}

func TestABoundTokenMakesOnlyTokensThatAreBoundAsMuch(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		at := func(d time.Duration) string {
			return time.UnixMicro(f.now.Load()).Add(d).UTC().Format(time.RFC3339Nano)
		}
		create := func(as string, more object) *response {
			body := object{"name": "x", "permissions": []string{"tokens:write"}}
			for k, v := range more {
				body[k] = v
			}
			return f.call(as, "POST", "/accounts/"+a+"/tokens", body, "From-Address: 192.0.2.7")
		}
		short := create(root, object{"expires_on": at(time.Hour)}).ok().text("value")
		create(short, nil).fails(403, errs.CodeForbidden)
		create(short, object{"expires_on": at(2 * time.Hour)}).fails(403, errs.CodeForbidden)
		create(short, object{"expires_on": at(time.Minute)}).ok()
		local := create(root, object{"ip_allow": []string{"192.0.2.0/24"}}).ok().text("value")
		create(local, nil).fails(403, errs.CodeForbidden)
		create(local, object{"ip_allow": []string{"192.0.0.0/16"}}).fails(403, errs.CodeForbidden)
		create(local, object{"ip_allow": []string{"192.0.2.0/28", "192.0.2.200"}}).ok()
	})
}

func TestTheLastUseIsWrittenOnceAMinute(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		id, value := f.token(a, "audit:read")
		used := func() string {
			f.drained()
			return f.call(root, "GET", "/accounts/"+a+"/tokens/"+id, nil).ok().text("last_used_on")
		}
		if got := used(); got != "" {
			t.Fatal(got)
		}
		f.call(value, "GET", "/user/tokens/verify", nil).ok()
		first := used()
		if first == "" {
			t.Fatal("never used")
		}
		f.later(30 * time.Second)
		f.call(value, "GET", "/user/tokens/verify", nil).ok()
		if got := used(); got != first {
			t.Fatalf("written again after 30 s: %s", got)
		}
		f.later(31 * time.Second)
		f.call(value, "GET", "/user/tokens/verify", nil).ok()
		if got := used(); got <= first {
			t.Fatal(got, first)
		}
	})
}

// mistyped is the value with another last character.
func mistyped(value string) string {
	last := "0"
	if strings.HasSuffix(value, last) {
		last = "1"
	}
	return value[:len(value)-1] + last
}
