//! Everything that differs between machines, read from the environment.
//!
//! A group of settings is declared once, by [`settings!`](crate::settings!):
//! the names, the meaning and the default of that declaration are what is
//! read, what an error names, and what the reference (`--settings`) prints.
//! All of it is judged before a port opens, and every problem is told at once.

mod common;
mod identity;
mod reader;
mod secret;
mod values;

pub use common::{Address, Log, LogFormat, Server};
pub use identity::Identity;
pub use reader::{
    Declaration, Default, Group, Reader, Setting, SettingsError, declarations, read, reference,
};
pub use secret::{Secret, Secrets};
pub use values::{Bounded, Origin, Seconds};

/// Declares a group of settings.
///
/// Each field says its variable, and its default after `or`. Without a default
/// it must be set, unless its type is an `Option`. `= group` holds another
/// group. The comment of a field is its meaning in the reference.
///
/// ```
/// use kit::settings::{self, Bounded, Identity, Secret};
///
/// kit::settings! {
///     /// Where e-mail leaves.
///     pub struct Smtp {
///         /// The mail server.
///         pub server: String = "SMTP_SERVER",
///         /// Its port.
///         pub port: u16 = "SMTP_PORT" or "587",
///         /// What it asks for.
///         pub password: Option<Secret> = "SMTP_PASSWORD",
///         /// Mails on their way at once.
///         pub concurrency: Bounded<1, 64> = "SMTP_CONCURRENCY" or "4",
///     }
/// }
///
/// let identity = Identity::new("notification", "1.0.0", 8002);
/// let smtp: Smtp = settings::read(&identity, &|name| {
///     (name == "SMTP_SERVER").then(|| "mail.example.com".to_owned())
/// })?;
/// assert_eq!(smtp.port, 587);
/// assert!(settings::reference::<Smtp>(&identity).contains("| `SMTP_PORT` | `587` |"));
/// # Ok::<(), settings::SettingsError>(())
/// ```
#[macro_export]
macro_rules! settings {
    ($(#[$about:meta])* $vis:vis struct $name:ident {
        $($(#[doc = $meaning:literal])+ $field_vis:vis $field:ident : $type:ty =
            $variable:tt $(or $default:literal)?),* $(,)?
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone)]
        $vis struct $name {
            $($(#[doc = $meaning])+ $field_vis $field: $type,)*
        }

        impl $crate::settings::Group for $name {
            fn read(reader: &mut $crate::settings::Reader<'_>) -> Option<Self> {
                // All are read before the first missing one is looked at.
                $(let $field: Option<$type> = $crate::settings!(
                    @read reader, $type, $variable, [$($meaning),+] $(, $default)?);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
    (@read $reader:ident, $type:ty, group, $meaning:tt) => {
        <$type as $crate::settings::Group>::read($reader)
    };
    (@read $reader:ident, $type:ty, $variable:literal, $meaning:tt) => {
        $reader.value::<$type>($variable, &$meaning, None)
    };
    (@read $reader:ident, $type:ty, $variable:literal, $meaning:tt, $default:literal) => {
        $reader.value::<$type>($variable, &$meaning, Some($default))
    };
}

#[cfg(test)]
mod tests;
