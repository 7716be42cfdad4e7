// Command creds makes credentials for a NATS server of a test: an operator with an account
// that may use JetStream, and users. It writes into the folder that is its argument:
// server.conf for the server, user.creds, another one for the same user as again.creds,
// short.creds which expire in some seconds, expired.creds, and stranger.creds of an
// account that the server does not know.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: creds FOLDER")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(folder string) error {
	operator, err := nkeys.CreateOperator()
	if err != nil {
		return err
	}
	id, err := operator.PublicKey()
	if err != nil {
		return err
	}
	_, system, systemClaims, err := newAccount(operator, jwt.JetStreamLimits{})
	if err != nil {
		return err
	}
	root := jwt.NewOperatorClaims(id)
	root.SystemAccount = system
	rootClaims, err := root.Encode(operator)
	if err != nil {
		return err
	}
	all := jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	account, name, claims, err := newAccount(operator, all)
	if err != nil {
		return err
	}
	stranger, _, _, err := newAccount(operator, all)
	if err != nil {
		return err
	}
	conf := fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n", rootClaims, system, systemClaims, name, claims)
	if err := os.WriteFile(filepath.Join(folder, "server.conf"), []byte(conf), 0o600); err != nil {
		return err
	}
	for _, u := range []struct {
		file    string
		account nkeys.KeyPair
		life    time.Duration // 0: for ever
	}{
		{"user.creds", account, 0}, {"again.creds", account, 0}, {"short.creds", account, 8 * time.Second},
		{"expired.creds", account, -time.Hour}, {"stranger.creds", stranger, 0},
	} {
		text, err := newUser(u.account, u.life)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, u.file), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// newAccount makes an account: its keys, its name, and what the server has to know.
func newAccount(operator nkeys.KeyPair, limits jwt.JetStreamLimits) (keys nkeys.KeyPair, name, claims string, err error) {
	if keys, err = nkeys.CreateAccount(); err != nil {
		return nil, "", "", err
	}
	if name, err = keys.PublicKey(); err != nil {
		return nil, "", "", err
	}
	c := jwt.NewAccountClaims(name)
	c.Limits.JetStreamLimits = limits
	claims, err = c.Encode(operator)
	return keys, name, claims, err
}

// newUser returns the file with the credentials of a user.
func newUser(account nkeys.KeyPair, life time.Duration) ([]byte, error) {
	keys, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	name, err := keys.PublicKey()
	if err != nil {
		return nil, err
	}
	c := jwt.NewUserClaims(name)
	if life != 0 {
		c.Expires = time.Now().Add(life).Unix()
	}
	token, err := c.Encode(account)
	if err != nil {
		return nil, err
	}
	seed, err := keys.Seed()
	if err != nil {
		return nil, err
	}
	return jwt.FormatUserConfig(token, seed)
}
