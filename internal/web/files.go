package web

import (
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// configFile is what this package needs of a web configuration file, which
// exporter-toolkit reads and checks.
type configFile struct {
	TLS struct {
		Cert     string `yaml:"cert_file"`
		Key      string `yaml:"key_file"`
		ClientCA string `yaml:"client_ca_file"`
		Text     string `yaml:"cert"`
	} `yaml:"tls_server_config"`
}

// readConfigFile reads a web configuration file. It has nothing if there is none.
func readConfigFile(name string) (c configFile, err error) {
	if name == "" {
		return c, nil
	}
	b, err := os.ReadFile(name)
	if err == nil {
		err = yaml.Unmarshal(b, &c)
	}
	return c, err
}

// encrypted reports whether the listener has TLS.
func (c *configFile) encrypted() bool { return c.TLS.Cert != "" || c.TLS.Text != "" }

// Files returns the names of the web configuration file and of the certificates and
// the key that it names. Each connection reads them again.
func (o *Output) Files() []string {
	if o.config.ConfigFile == "" {
		return nil
	}
	files := []string{o.config.ConfigFile}
	c, err := readConfigFile(o.config.ConfigFile)
	if err != nil { // Check has read it, so it has changed since: Run fails with the reason
		return files
	}
	for _, f := range []string{c.TLS.Cert, c.TLS.Key, c.TLS.ClientCA} {
		switch {
		case f == "":
		case filepath.IsAbs(f):
			files = append(files, f)
		default: // relative to the file that names it
			files = append(files, filepath.Join(filepath.Dir(o.config.ConfigFile), f))
		}
	}
	return files
}
