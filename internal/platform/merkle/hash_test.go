package merkle_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// The leaves and roots that Certificate Transparency implementations of
// RFC 6962 are tested with.
var rfc6962Leaves = []string{
	"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
}

var rfc6962Roots = []string{
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}

func TestRootsOfTheRFC6962VectorsAreTheKnownOnes(t *testing.T) {
	var frontier merkle.Frontier
	var leaves []merkle.Hash
	for size, want := range rfc6962Roots {
		if got := frontier.Root(); got != hexHash(t, want) {
			t.Errorf("size %d: root %x, want %s", size, got, want)
		}
		if got := merkle.NewBatch(leaves).Root(); got != hexHash(t, want) {
			t.Errorf("size %d: batch root %x, want %s", size, got, want)
		}
		if size < len(rfc6962Leaves) {
			data, err := hex.DecodeString(rfc6962Leaves[size])
			if err != nil {
				t.Fatal(err)
			}
			leaf := merkle.LeafHash(data)
			frontier.Append(leaf)
			leaves = append(leaves, leaf)
		}
	}
}

func TestNodeHashSeparatesItsDomain(t *testing.T) {
	l, r := merkle.LeafHash([]byte("N123")), merkle.LeafHash([]byte("N456"))
	if got, want := merkle.NodeHash(l, r), merkle.LeafHash(append(l[:], r[:]...)); got == want {
		t.Error("a leaf and a node of the same bytes have one hash")
	}
	if merkle.NodeHash(l, r) == merkle.NodeHash(r, l) {
		t.Error("the order of the children does not matter")
	}
}

func TestHashesAndSmallProofsDoNotAllocate(t *testing.T) {
	data := make([]byte, 4000)
	l, r := merkle.LeafHash(nil), merkle.LeafHash(data)
	for name, f := range map[string]func(){
		"LeafHash": func() { merkle.LeafHash(data) },
		"NodeHash": func() { merkle.NodeHash(l, r) },
		"VerifyInclusion": func() {
			_ = merkle.VerifyInclusion(l, 0, 2, []merkle.Hash{r}, merkle.NodeHash(l, r))
		},
	} {
		if n := testing.AllocsPerRun(20, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestAHashHasOneTextOnly(t *testing.T) {
	h := merkle.LeafHash([]byte("x"))
	text := h.String()
	b, err := json.Marshal([]merkle.Hash{h})
	if err != nil || string(b) != `["`+text+`"]` {
		t.Fatalf("JSON is %s, %v", b, err)
	}
	var back []merkle.Hash
	if err := json.Unmarshal(b, &back); err != nil || back[0] != h {
		t.Fatalf("read back %v, %v", back, err)
	}
	// "...c=" to "...d=": other trailing bits, the same 32 bytes for a lenient reader.
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", text[42])
	loose := text[:42] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[last+1]) + "="
	for _, bad := range []string{
		"", text[:43], text + "=", text[:40] + "\n\n\n\n", text[:40] + "\r\r\r\r", "\n" + text[:43], loose,
		strings.ReplaceAll(text, text[:1], "-"), text + "\n",
	} {
		if err := new(merkle.Hash).UnmarshalText([]byte(bad)); !errors.Is(err, merkle.ErrFormat) {
			t.Errorf("%q was read: %v", bad, err)
		}
	}
}
