package config

import "strings"

// elsewhere says where a key stands that is in the wrong table.
var elsewhere = map[string]string{
	"interval": "[agent]", "max_rate": "[agent]", "socket": "[agent]", "log_level": "[agent]", "max_prefix_hosts": "[agent]",
	"hosts": "[[targets]]",
	"count": inTargets, "ping_interval": inTargets, "timeout": inTargets, "size": inTargets, "ttl": inTargets,
	"dscp": inTargets, "source": inTargets, "interface": inTargets, "mark": inTargets, "dont_fragment": inTargets,
	"family": inTargets, "tags": inTargets, "warning": inTargets, "critical": inTargets,
	"warning_jitter": inTargets, "critical_jitter": inTargets,
	"signal": "[telegraf]", "measurement": "[telegraf]", "percentiles": "[telegraf]",
}

const inTargets = "[defaults] or [[targets]]"

// telegrafs says what the keys of Telegraf's inputs.ping are called here.
var telegrafs = map[string]string{
	"inputs":        "Telegraf's own: want the keys of [[inputs.ping]] in [[targets]]",
	"urls":          "of inputs.ping: want hosts in [[targets]]",
	"deadline":      "of inputs.ping, for the whole series: want timeout, for each echo",
	"ipv4":          "of inputs.ping: want family = \"ipv4\"",
	"ipv6":          "of inputs.ping: want family = \"ipv6\"",
	"method":        "of inputs.ping: pingtel has one method, its own; want it gone",
	"arguments":     "of inputs.ping: pingtel runs no ping command; want its own options, such as source, ttl or size",
	"binary":        "of inputs.ping: pingtel runs no ping command; want it gone",
	"name_override": "Telegraf's own: want measurement in [telegraf]",
}

// hintOf returns what is right where a table does not know a key that somebody
// may well expect there, "" where there is nothing to say.
func hintOf(table, key string) string {
	if strings.HasPrefix(table, "otel") {
		return "" // its keys have other meanings
	}
	if what, ok := telegrafs[key]; ok {
		return "it is " + what
	}
	if where, ok := elsewhere[key]; ok {
		return "it stands in " + where
	}
	return ""
}
