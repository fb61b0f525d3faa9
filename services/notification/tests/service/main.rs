//! The service as a process, with a real PostgreSQL, a real mail server and
//! real WebSockets.

mod bad_input;
mod client;
mod mail;
mod notifying;
mod push;
mod scene;
mod webhook;
