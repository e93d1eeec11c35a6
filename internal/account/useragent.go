package account

import "strings"

// browsers and systems are parts of User-Agent headers with their names. Many
// browsers name others too, so the more specific names come first.
var (
	browsers = [][2]string{
		{"Edg/", "Edge"},
		{"OPR/", "Opera"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"HeadlessChrome/", "Headless Chrome"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
	}
	systems = [][2]string{
		{"Windows", "Windows"},
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"Mac OS X", "macOS"},
		{"CrOS", "ChromeOS"},
		{"Linux", "Linux"},
	}
)

// browserName returns the browser of a User-Agent header, by which people
// recognise their sessions: "Firefox on Linux".
func browserName(agent string) string {
	find := func(list [][2]string) string {
		for _, one := range list {
			if strings.Contains(agent, one[0]) {
				return one[1]
			}
		}
		return ""
	}
	name := find(browsers)
	system := find(systems)
	switch {
	case name != "" && system != "":
		return name + " on " + system
	case name != "":
		return name
	case agent != "":
		return clip(agent, 60)
	}
	return "Unknown browser"
}
