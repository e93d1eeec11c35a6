package demo

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// State is the state of a demo, stored in a file of its data directory: a second run with the same directory continues
// the first, and scripts that drive the demo read it. Mode 0600, because it contains tokens.
type State struct {
	Ready bool `json:"ready"` // the setup is complete

	URL    string `json:"url"`
	Listen string `json:"listen"`
	Kafka  string `json:"kafka"`
	Shop   string `json:"shop"`  // URL
	Inbox  string `json:"inbox"` // URL; /messages as JSON
	SMTP   string `json:"smtp"`  // host:port

	Bootstrap string `json:"bootstrap_token"` // of the installation's operator
	Account   string `json:"account"`
	Token     string `json:"token"`      // may do everything in the account
	ShopToken string `json:"shop_token"` // what the shop has
	Secret    string `json:"webhook_secret"`
	History   string `json:"history_account"` // the account with a real project's changes

	Objective string `json:"objective"` // of the checkout
	Quiet     string `json:"quiet"`     // of the real, low-traffic site
	SignIn    string `json:"sign_in"`   // works once

	Server int `json:"server_pid"`
}

const stateFile = "demo.json"

func loadState(dir string) (s State, err error) {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	err = json.Unmarshal(b, &s)
	return s, err
}

// save replaces the file atomically, so that a reader never sees a part of it.
func (s State) save(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	next := filepath.Join(dir, stateFile+".next")
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(dir, stateFile))
}
