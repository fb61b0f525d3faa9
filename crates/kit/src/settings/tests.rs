use std::time::Duration;

use proptest::prelude::*;

use super::*;

const AUTH: Identity = Identity::new("land-auth", "1.0.0", 8001);

fn server(variables: &[(&str, &str)]) -> Result<Server, SettingsError> {
    read(&AUTH, &|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn defaults_fill_what_is_not_set() {
    let server = server(&[("SERVICE_PORT", " "), ("LOG_LEVEL", "INFO")]).unwrap();
    assert_eq!(server.address.to_string(), "127.0.0.1:8001");
    assert_eq!(server.log.level.to_string(), "info");
    assert!(server.api_keys.is_none());
}

#[test]
fn names_carry_the_services_own() {
    let server = server(&[("LAND_AUTH_SERVICE_API_KEY", "one, two")]).unwrap();
    let keys = server.api_keys.unwrap();
    assert_eq!(keys.position(b"two"), Some(1));
    assert_eq!(keys.position(b"one"), Some(0));
    assert_eq!(keys.position(b"one, two"), None);
    assert_eq!(keys.position(b""), None);
}

#[test]
fn every_wrong_variable_is_named_with_a_remedy() {
    crate::settings! {
        struct Own {
            /// A database
            _database: Secret = "DATABASE_URL",
            /// Connections
            _connections: Bounded<1, 10> = "CONNECTIONS" or "5",
        }
    }
    let wrong = [
        ("SERVICE_HOST", "no host"),
        ("SERVICE_PORT", "65536"),
        ("LOG_LEVEL", "loud"),
        ("JWT_JWKS_URL", "http://user:hunter2@issuer"),
        ("REGISTRY_URL", "registry"),
        ("SERVICE_STOP_DELAY", "-1"),
        ("CONNECTIONS", "11"),
    ];
    let lookup = |name: &str| {
        let found = wrong.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let error = read::<(Server, Own)>(&AUTH, &lookup)
        .unwrap_err()
        .to_string();
    assert_eq!(error.lines().count(), wrong.len() + 1, "{error}");
    for (variable, _) in wrong {
        assert!(error.contains(&format!("{variable}: ")), "{error}");
    }
    assert!(
        error.contains("CONNECTIONS: \"11\" will not do; set a whole number from 1 to 10"),
        "{error}"
    );
    assert!(error.contains("DATABASE_URL: is not set"), "{error}");
    assert!(
        !error.contains("hunter2"),
        "a password must not be repeated"
    );
}

#[test]
fn hosts_may_be_names_numbers_and_sockets() {
    let shown = |host| {
        server(&[("SERVICE_HOST", host)])
            .map(|server| server.address.to_string())
            .ok()
    };
    let expected = [
        (
            "staging-auth.example.com",
            Some("staging-auth.example.com:8001"),
        ),
        ("0.0.0.0", Some("0.0.0.0:8001")),
        ("::1", Some("[::1]:8001")),
        ("[::]", Some("[::]:8001")),
        ("unix:/run/auth.sock", Some("unix:/run/auth.sock")),
        ("unix:auth.sock", None),
        ("a b", None),
        ("http://auth", None),
        ("auth/x", None),
    ];
    for (host, address) in expected {
        assert_eq!(shown(host).as_deref(), address, "{host}");
    }
}

#[test]
fn times_are_whole_microseconds() {
    let expected = [
        ("0", 0),
        ("0.0000004", 0),
        ("0.0000006", 1),
        ("1.3333333", 1_333_333),
        ("1.9999999", 2_000_000),
        ("2.5", 2_500_000),
        ("86400", 86_400_000_000),
    ];
    for (text, microseconds) in expected {
        let server = server(&[("SERVICE_STOP_DELAY", text)]).unwrap();
        let delay = server.stop_delay.get();
        assert_eq!(delay, Duration::from_micros(microseconds), "{text}");
    }
    assert!(server(&[("SERVICE_STOP_DELAY", "86400.1")]).is_err());
}

#[test]
fn no_secret_is_shown() {
    let server = server(&[
        ("LAND_AUTH_SERVICE_API_KEY", "hunter2"),
        ("JWT_SECRET_KEY", "hunter3"),
    ]);
    let shown = format!("{server:?}");
    assert!(
        shown.contains("[redacted]") && !shown.contains("hunter"),
        "{shown}"
    );
}

#[test]
fn the_reference_has_every_variable() {
    let table = reference::<Server>(&AUTH);
    assert!(
        table.contains(
            "| `SERVICE_PORT` | `8001` | The port it listens on; a number from 0 to 65535 |\n"
        ),
        "{table}"
    );
    assert!(
        table.contains("| `LAND_AUTH_SERVICE_API_KEY` | none | "),
        "{table}"
    );
    assert_eq!(
        table.lines().count(),
        declarations::<Server>(&AUTH).len() + 2
    );
}

#[test]
fn a_service_that_others_are_told_of_has_its_key_once() {
    let registry = Identity::new("registry", "1.0.0", 8004);
    let names = declarations::<Server>(&registry);
    let keys = names
        .iter()
        .filter(|one| one.name == "REGISTRY_SERVICE_API_KEY");
    assert_eq!(keys.count(), 1);
}

proptest! {
    #[test]
    fn nothing_that_is_set_panics(value: String) {
        for one in declarations::<Server>(&AUTH) {
            let _ = server(&[(&one.name, &value)]);
        }
    }

    #[test]
    fn a_secret_matches_itself_only(one: String, other: String) {
        let secret = Secret::new(one.clone());
        prop_assert!(secret.matches(one.as_bytes()));
        prop_assert_eq!(secret.matches(other.as_bytes()), one == other);
    }
}
