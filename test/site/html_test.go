package site_test

import (
	"net/url"
	"testing"

	"github.com/belfryhq/belfry/test/site"
)

func TestForms(t *testing.T) {
	forms := site.FormsOf(`<form method="post" action="/a?x=1&amp;y=2">
<input name="text" value="&lt;b&gt;"><input type="hidden" name="id" value="7">
<input type="checkbox" name="on" value="1" checked>
<input type="checkbox" name="off" value="1"><textarea name="long" rows="2">one
two</textarea><select name="role"><option value="a">A</option><option value="b" selected>B</option></select>
<select name="first"><option value="x">X</option><option value="y">Y</option></select>
<button type="submit" name="do" value="z">Go</button></form>
<form action="/search"><input name="q"></form>`)
	if len(forms) != 2 || !forms[0].Post || forms[0].Action != "/a?x=1&y=2" || forms[1].Post ||
		forms[1].Action != "/search" {
		t.Fatalf("%+v", forms)
	}
	want := url.Values{"text": {"<b>"}, "id": {"7"}, "on": {"1"}, "long": {"one\ntwo"}, "role": {"b"}, "first": {"x"}}
	if got := forms[0].Fields.Encode(); got != want.Encode() {
		t.Errorf("got %s\nwant %s", got, want.Encode())
	}
}

func TestASiteHasPeopleAndPages(t *testing.T) {
	s := site.New(t, site.Config{})
	acme := s.Account("Acme")
	base := "/accounts/" + acme + "/properties"
	ana := s.Member(acme, "ana@acme.example", "owner")
	added := ana.Get(base+"/new").Expect(200).Submit("Add the property", "name", "shop.example").Expect(303)
	ana.Get(added.Location).Expect(200).Says("Property added.", "Acme").Links("/accounts/" + acme + "/tokens")
	s.Run("as an operator", func() { s.Operator().Get("/console/accounts").Expect(200).Says("Acme") })
	s.Run("as nobody", func() { s.Visitor().Get(base).RedirectsTo("/sign-in?next=" + url.QueryEscape(base)) })
}
