//! The services of the set: the one list that `./x up` and the checks of what
//! is in `deploy/` go by.

use crate::binaries;

/// One of the services.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name in metrics, in the registry and in the plan.
    pub name: &'static str,
    /// Its crate, directory, binary, database, and the beginning of its roles.
    pub package: &'static str,
    /// Where it listens, as the seed has it.
    pub port: u16,
    /// What it reads beside what every service reads.
    pub own: fn(&Surroundings) -> Vec<(&'static str, String)>,
}

/// What is around a service, as far as one may be told of it.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The gateway's address.
    pub gateway: String,
    /// The notification service's address.
    pub notification: String,
    /// The mail server's port on 127.0.0.1.
    pub smtp_port: u16,
    /// Signs users' tokens; drawn anew for each set.
    pub jwt_secret: String,
    /// Signs the tokens that services show each other; drawn anew, too.
    pub service_secret: String,
}

/// All of them, by port. One that is not in this workspace is left out of what
/// runs.
pub const MEMBERS: &[Member] = &[
    Member {
        name: "auth",
        package: "identity",
        port: 8001,
        own: |around| {
            let notification = member("notification").map(Member::key);
            vec![
                ("LINK_URL", around.gateway.clone()),
                ("NOTIFICATION_URL", around.notification.clone()),
                (
                    "NOTIFICATION_SERVICE_API_KEY",
                    notification.unwrap_or_default(),
                ),
            ]
        },
    },
    Member {
        name: "notification",
        package: "notification",
        port: 8002,
        own: |around| {
            vec![
                ("SMTP_SERVER", "127.0.0.1".to_owned()),
                ("SMTP_PORT", around.smtp_port.to_string()),
                ("SMTP_SECURITY", "plain".to_owned()),
                ("SMTP_FROM", "staging@example.com".to_owned()),
            ]
        },
    },
    Member {
        name: "analytics",
        package: "analytics",
        port: 8003,
        own: |_| Vec::new(),
    },
    Member {
        name: "registry",
        package: "registry",
        port: 8004,
        own: |_| Vec::new(),
    },
];

/// Those that are in this workspace.
pub fn present() -> impl Iterator<Item = &'static Member> {
    MEMBERS.iter().filter(|member| member.is_present())
}

/// The one of this name.
pub fn member(name: &str) -> Option<&'static Member> {
    MEMBERS.iter().find(|member| member.name == name)
}

impl Member {
    /// Whether it is in this workspace.
    pub fn is_present(&self) -> bool {
        let services = binaries::repository().join("services");
        services.join(self.package).join("Cargo.toml").is_file()
    }

    /// The key that its callers show here, as seed 000 has it.
    pub fn key(&self) -> String {
        format!("staging-{}-key", self.name)
    }

    /// The variable with that key.
    pub fn key_variable(&self) -> String {
        format!("{}_SERVICE_API_KEY", self.name.to_uppercase())
    }

    /// The role that owns its tables.
    pub fn owner_role(&self) -> String {
        format!("{}_owner", self.package)
    }

    /// Where its tables are, in its database.
    pub fn schema(&self) -> String {
        format!("{}_service", self.package)
    }

    /// The role that it works as.
    pub fn app_role(&self) -> String {
        format!("{}_app", self.package)
    }
}
