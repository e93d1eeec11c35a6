package account

import "github.com/belfryhq/belfry/internal/platform/web"

// Lists are ordered by id, that is by the time of creation.

func accountKey(a Account) web.Keyset { return web.Keyset{ID: a.ID} }

func memberKey(m Member) web.Keyset { return web.Keyset{ID: m.ID} }

func ownedZoneKey(z OwnedZone) web.Keyset { return web.Keyset{ID: z.ID} }

func personKey(p Person) web.Keyset { return web.Keyset{ID: p.ID} }

func portalSessionKey(s PortalSession) web.Keyset { return web.Keyset{ID: s.ID} }

func roleKey(r RoleInfo) web.Keyset { return web.Keyset{ID: string(r.ID)} }

func tokenKey(t Token) web.Keyset { return web.Keyset{ID: t.ID} }

func zoneKey(z Zone) web.Keyset { return web.Keyset{ID: z.ID} }
