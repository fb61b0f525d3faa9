//! What every request may need.

use std::sync::Arc;

use crate::directory::Directory;
use crate::store::Store;

/// What every request may need.
#[derive(Debug, Clone)]
pub struct App {
    pub store: Store,
    pub directory: Arc<Directory>,
}
