package record

// CompatActorType is the v2 API's word for an actor's type.
func CompatActorType(t string) string {
	switch t {
	case "token", "integration":
		return "account"
	case "staff":
		return "cloudflare_admin"
	default:
		return t
	}
}

// CompatActorContext is the v2 API's actor.context.
func CompatActorContext(e *Event) string {
	switch {
	case e.Actor.Type == "token":
		return "api_token"
	case e.Actor.Type == "integration":
		return "oauth"
	case e.Interface == "UI":
		return "dash"
	case e.Interface == "API" || e.Interface == "CLI":
		return "api_token"
	case e.Interface == "SYSTEM":
		return "system"
	default:
		return ""
	}
}
