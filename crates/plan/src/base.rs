//! What every area of the plan is built of: values, names and places in the
//! file, and the error that refuses them.

mod address;
mod context;
mod database_url;
mod error;
mod file_loader;
mod key_path;
mod located;
mod names;
mod node;
mod path;
mod percent;
mod quantity;
mod scalar_or_map;
mod secret;
mod text;
mod toggle;
mod unreadable;
mod upstream_url;

pub use context::ParseContext;
pub use database_url::{
    ChannelBinding, ClientCertificate, ConnectionParameters, DatabaseUrl, Roots, SslMode,
};
pub use error::PlanError;
pub use file_loader::FileLoader;
pub use located::Located;
pub use names::{ColumnName, ExtractionName, ServiceName, TableName};
pub use path::PathPattern;
pub use percent::Percent;
pub use quantity::{ByteSize, Length, duration};
pub use scalar_or_map::ScalarOrMap;
pub use secret::Secret;
pub use toggle::Toggle;
pub use upstream_url::UpstreamUrl;

pub(crate) use address::{address_block, socket_address};
pub(crate) use key_path::KeyPath;
pub(crate) use located::{Position, Text};
pub(crate) use names::{header_name, http_token, part, parts, plain_name};
pub(crate) use node::Node;
pub(crate) use text::{Environment, parse, plain, size, size_or, time, time_or};
pub(crate) use unreadable::unreadable;
