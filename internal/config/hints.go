package config

import "strings"

// elsewhere maps each key to its table, for keys in the wrong table.
var elsewhere = map[string]string{
	"interval": "[agent] or [defaults] or [[targets]]", "max_rate": "[agent]", "socket": "[agent]", "log_level": "[agent]", "max_prefix_hosts": "[agent]",
	"max_targets": "[agent]", "state": "[agent]", "refresh": "[[targets]]", "bearer_file": "[[targets]]", "label_selector": "[[targets]]",
	"file": "[[targets]]", "http": "[[targets]]", "dns": "[[targets]]", "kubernetes": "[[targets]]",
	"hosts": "[[targets]]",
	"count": inTargets, "ping_interval": inTargets, "timeout": inTargets, "size": inTargets, "ttl": inTargets,
	"dscp": inTargets, "source": inTargets, "interface": inTargets, "mark": inTargets, "dont_fragment": inTargets,
	"family": inTargets, "tags": inTargets, "warning": inTargets, "critical": inTargets,
	"warning_jitter": inTargets, "critical_jitter": inTargets,
	"signal": "[telegraf]", "measurement": "[telegraf]", "percentiles": "[telegraf] or [defaults] or [[targets]]",
}

const inTargets = "[defaults] or [[targets]]"

// telegrafs maps the keys of Telegraf's inputs.ping to those of pingtel.
var telegrafs = map[string]string{
	"inputs":        "a table of Telegraf: move the keys of [[inputs.ping]] to [[targets]]",
	"urls":          "a key of inputs.ping: use hosts in [[targets]]",
	"deadline":      "a key of inputs.ping, for the whole series: use timeout, for each echo",
	"ipv4":          "a key of inputs.ping: use family = \"ipv4\"",
	"ipv6":          "a key of inputs.ping: use family = \"ipv6\"",
	"method":        "a key of inputs.ping: remove it, since pingtel has one method",
	"arguments":     "a key of inputs.ping: use pingtel's own options, such as source, ttl or size; it runs no ping command",
	"binary":        "a key of inputs.ping: remove it, since pingtel runs no ping command",
	"name_override": "a key of Telegraf: use measurement in [telegraf]",
}

// hintOf returns advice for a key that is unknown in a table but that a user may
// well expect there, "" if there is none.
func hintOf(table, key string) string {
	if strings.HasPrefix(table, "otel") {
		return "" // its keys have other meanings
	}
	if what, ok := telegrafs[key]; ok {
		return "it is " + what
	}
	if where, ok := elsewhere[key]; ok {
		return "it belongs in " + where
	}
	return ""
}
