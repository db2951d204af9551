package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
)

// checkTLS checks that PEM files are there, readable and complete.
func (l *loader) checkTLS(path, ca, cert, key string) {
	if ca != "" {
		if pem, ok := l.readable(join(path, "ca"), ca); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			l.errorf(join(path, "ca"), codeFile, "%s.ca holds no certificate in PEM form", path)
		}
	}
	switch {
	case cert == "" && key == "":
		return
	case key == "":
		l.errorf(join(path, "cert"), codeConflict, "%s.cert needs %s.key as well", path, path)
		return
	case cert == "":
		l.errorf(join(path, "key"), codeConflict, "%s.key needs %s.cert as well", path, path)
		return
	}
	certPEM, okCert := l.readable(join(path, "cert"), cert)
	keyPEM, okKey := l.readable(join(path, "key"), key)
	if !okCert || !okKey {
		return
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		l.errorf(join(path, "cert"), codeFile, "%s.cert and %s.key do not make a pair in PEM form", path, path)
	}
}

// readable reads a file that the configuration names; ok is false when there is
// nothing to look at.
func (l *loader) readable(path, name string) (content []byte, ok bool) {
	if l.untouchable(path) {
		return nil, false
	}
	content, err := l.options.ReadFile(name)
	switch {
	case err == nil:
		if problem := unreadable(content); problem != "" {
			l.errorf(path, codeFile, "%s: the file %s", path, problem)
			return nil, false
		}
		return content, true
	case l.options.AllowMissingSecrets && errors.Is(err, fs.ErrNotExist):
	default:
		l.errorf(path, codeFile, "%s: reading the file: %v", path, withoutPath(err))
	}
	return nil, false
}
