//! The service against real parts: Django's hashers, PostgreSQL, sockets.

mod django;
