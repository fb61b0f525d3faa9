//! The parameters of a connection: from the address, else from libpq's
//! variables, else libpq's defaults.

use super::tls::{ChannelBinding, ClientCertificate, Roots, SslMode};
use crate::base::text::Environment;
use std::time::Duration;

/// Those that we read, and the variable that stands in for each.
const KNOWN: &[(&str, &str)] = &[
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
];

/// Known to libpq and not to us, with what to do instead. Leaving them out
/// silently would weaken a connection.
const REFUSED: &[(&str, &str)] = &[
    ("sslcrl", "revocation lists are not read"),
    ("sslcrldir", "revocation lists are not read"),
    (
        "sslpassword",
        "encrypted keys are not read; give `sslkey` a file that only Banyan's user may read",
    ),
    ("target_session_attrs", "name the primary's host"),
    ("hostaddr", "put the address into the host's place"),
    (
        "passfile",
        "put the password into the address or into PGPASSWORD",
    ),
];

/// The longest that connecting may take, whatever is asked for.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_mins(1);

/// What libpq takes as well: a shorter one is for nobody.
const CONNECT_TIMEOUT_MIN: Duration = Duration::from_secs(2);

/// How to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionParameters {
    /// Whether the connection is encrypted, and what the server has to prove.
    pub sslmode: SslMode,
    /// Whose certificates are believed.
    pub roots: Option<Roots>,
    /// What we show of ourselves.
    pub client_certificate: Option<ClientCertificate>,
    /// Whether the password's proof is bound to the connection.
    pub channel_binding: ChannelBinding,
    /// How long connecting may take, where it is said.
    pub connect_timeout: Option<Duration>,
    /// Handed to the server as it is, before our own settings.
    pub options: Option<String>,
}

impl ConnectionParameters {
    /// From the parameters of an address, decoded.
    pub(super) fn resolve(
        given: &[(String, String)],
        environment: Environment<'_>,
    ) -> Result<Self, String> {
        for (key, _) in given {
            if let Some((_, instead)) = REFUSED.iter().find(|(name, _)| name == key) {
                return Err(format!("the parameter `{key}` is not taken: {instead}"));
            }
            if !KNOWN.iter().any(|(name, _)| name == key) {
                return Err(format!("the parameter `{key}` is not known"));
            }
        }
        // As in libpq: the last one wins, and an empty variable is none.
        let find = |name: &str| {
            let said = given.iter().rev().find(|(key, _)| key == name);
            let variable = KNOWN.iter().find(|(known, _)| *known == name);
            said.map(|(_, value)| value.clone())
                .or_else(|| variable.and_then(|(_, variable)| environment(variable)))
                .filter(|value| !value.is_empty())
        };
        let roots = find("sslrootcert").map(|value| match value.as_str() {
            "system" => Roots::System,
            _ => Roots::File(value),
        });
        Ok(Self {
            sslmode: sslmode(find("sslmode").as_deref(), roots.as_ref())?,
            roots,
            client_certificate: client_certificate(find("sslcert"), find("sslkey"))?,
            channel_binding: find("channel_binding")
                .map_or(Ok(ChannelBinding::Prefer), |text| {
                    ChannelBinding::parse(&text)
                })?,
            connect_timeout: find("connect_timeout")
                .map_or(Ok(None), |text| connect_timeout(&text))?,
            options: find("options"),
        })
    }
}

fn sslmode(said: Option<&str>, roots: Option<&Roots>) -> Result<SslMode, String> {
    let mode = said.map(SslMode::parse).transpose()?;
    match (mode, roots) {
        (None, Some(Roots::System)) => Ok(SslMode::VerifyFull),
        (None, _) => Ok(SslMode::Prefer),
        // Anybody can have a certificate of one of those for some name.
        (Some(mode), Some(Roots::System)) if mode != SslMode::VerifyFull => Err(format!(
            "sslrootcert=system proves nothing with sslmode={}: use verify-full",
            mode.as_str()
        )),
        (Some(mode @ (SslMode::VerifyCa | SslMode::VerifyFull)), None) => Err(format!(
            "sslmode={} needs sslrootcert: the file of the certificate authority, or `system`",
            mode.as_str()
        )),
        // As in libpq: who gives a root wants it looked at.
        (Some(SslMode::Require), Some(Roots::File(_))) => Ok(SslMode::VerifyCa),
        (Some(mode), _) => Ok(mode),
    }
}

fn client_certificate(
    certificate: Option<String>,
    key: Option<String>,
) -> Result<Option<ClientCertificate>, String> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(ClientCertificate { certificate, key })),
        (None, None) => Ok(None),
        _ => Err("sslcert and sslkey go together".to_owned()),
    }
}

fn connect_timeout(text: &str) -> Result<Option<Duration>, String> {
    let seconds: i32 = text
        .parse()
        .map_err(|_| "connect_timeout is a number of seconds".to_owned())?;
    // Zero and less are no bound in libpq; here it is the usual one.
    Ok(u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| {
            Duration::from_secs(seconds).clamp(CONNECT_TIMEOUT_MIN, CONNECT_TIMEOUT_MAX)
        }))
}

#[cfg(test)]
mod tests {
    use super::super::DatabaseUrl;
    use super::*;

    fn parameters(query: &str, variables: &[(&str, &str)]) -> Result<ConnectionParameters, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        DatabaseUrl::parse_in(&format!("postgres://u@h/d{query}"), &environment)
            .map(|url| url.parameters)
    }

    #[test]
    fn modes_are_those_of_libpq() {
        use SslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
        for (query, mode) in [
            ("", Prefer),
            ("?sslmode=disable", Disable),
            ("?sslmode=allow", Allow),
            ("?sslmode=prefer", Prefer),
            ("?sslmode=require", Require),
            ("?sslmode=require&sslrootcert=/ca.pem", VerifyCa),
            ("?sslmode=verify-ca&sslrootcert=/ca.pem", VerifyCa),
            ("?sslmode=verify-full&sslrootcert=%2Fca.pem", VerifyFull),
            ("?sslrootcert=system", VerifyFull),
            ("?sslrootcert=/ca.pem", Prefer),
            ("?sslmode=disable&sslmode=require", Require),
        ] {
            assert_eq!(parameters(query, &[]).unwrap().sslmode, mode, "{query}");
        }
        for (query, words) in [
            ("?sslmode=on", "sslmode is one of"),
            ("?sslmode=verify-full", "needs sslrootcert"),
            ("?sslmode=verify-ca", "needs sslrootcert"),
            ("?sslmode=require&sslrootcert=system", "proves nothing"),
            ("?sslcert=/c.pem", "go together"),
            ("?sslkey=/c.pem", "go together"),
            ("?channel_binding=yes", "channel_binding is one of"),
            ("?connect_timeout=soon", "number of seconds"),
            ("?sslcrl=/crl.pem", "not taken"),
            ("?sslmod=require", "not known"),
            ("?sslmode=%zz", "%-escape"),
        ] {
            let error = parameters(query, &[]).unwrap_err();
            assert!(error.contains(words), "{query}: {error}");
        }
    }

    #[test]
    fn variables_stand_in_for_what_the_address_does_not_say() {
        let variables = [
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/ca.pem"),
            ("PGSSLCERT", "/me.pem"),
            ("PGSSLKEY", "/me.key"),
            ("PGCHANNELBINDING", "require"),
            ("PGCONNECT_TIMEOUT", "9"),
            ("PGOPTIONS", "-c a=b"),
            ("PGAPPNAME", "somebody"),
        ];
        let found = parameters("", &variables).unwrap();
        assert_eq!(found.sslmode, SslMode::VerifyFull);
        assert_eq!(found.roots, Some(Roots::File("/ca.pem".to_owned())));
        assert_eq!(found.client_certificate.unwrap().key, "/me.key");
        assert_eq!(found.channel_binding, ChannelBinding::Require);
        assert_eq!(found.connect_timeout, Some(Duration::from_secs(9)));
        assert_eq!(found.options.as_deref(), Some("-c a=b"));
        let query = "?sslmode=disable&options=-c%20x%3Dy%2Bz&connect_timeout=1&application_name=me";
        let found = parameters(query, &variables).unwrap();
        assert_eq!(found.sslmode, SslMode::Disable);
        assert_eq!(found.options.as_deref(), Some("-c x=y+z"));
        assert_eq!(found.connect_timeout, Some(CONNECT_TIMEOUT_MIN));
        assert_eq!(
            parameters("?connect_timeout=0", &[])
                .unwrap()
                .connect_timeout,
            None
        );
        // An empty variable is none.
        assert_eq!(
            parameters("", &[("PGSSLMODE", "")]).unwrap().sslmode,
            SslMode::Prefer
        );
    }

    #[test]
    fn a_password_of_the_environment_and_none_in_a_message() {
        let environment = |name: &str| (name == "PGPASSWORD").then(|| "from outside".to_owned());
        let parse = |text| DatabaseUrl::parse_in(text, &environment).unwrap();
        assert_eq!(parse("postgres://u@h/d").expose_password(), "from outside");
        assert_eq!(parse("postgres://u:own@h/d").expose_password(), "own");
        let error = DatabaseUrl::parse("postgres://u:own@h/d?sslmode=own").unwrap_err();
        assert!(
            !error.contains("own@") && !error.contains("=own"),
            "{error}"
        );
    }
}
