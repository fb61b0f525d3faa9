//! Free ports on the loopback address.
//!
//! A port that the kernel hands out (bind to 0) may be taken by somebody's
//! outgoing connection before a server binds it again. So ports come from
//! below the range that outgoing connections use, and a lock file per block of
//! ports keeps parallel test processes apart.

use crate::directory;
use anyhow::{Result, bail};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Linux uses 32768 and above for outgoing connections.
const FIRST: u16 = 20_000;
const BLOCK: u16 = 20;
const BLOCKS: u16 = 600;

struct PortBlock {
    /// Held until the process ends.
    _lock: File,
    next: u16,
    end: u16,
}

static BLOCKS_TAKEN: Mutex<Vec<PortBlock>> = Mutex::new(Vec::new());

/// A port without a listener that no other run will be given.
pub fn free() -> Result<u16> {
    let mut taken = BLOCKS_TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(block) = taken.last_mut() {
            while block.next < block.end {
                let port = block.next;
                block.next += 1;
                if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                    return Ok(port);
                }
            }
        }
        let block = take_block()?;
        taken.push(block);
    }
}

fn take_block() -> Result<PortBlock> {
    // Any start will do; different ones make tries short.
    let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).unwrap_or(0);
    for step in 0..BLOCKS {
        let number = (start + step) % BLOCKS;
        let lock = directory::lock_file(&format!("ports-{number}.lock"))?;
        if lock.try_lock().is_ok() {
            let next = FIRST + number * BLOCK;
            return Ok(PortBlock {
                _lock: lock,
                next,
                end: next + BLOCK,
            });
        }
    }
    bail!(
        "no free block of ports between {FIRST} and {}",
        FIRST + BLOCKS * BLOCK
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_port_is_given_twice() {
        let ports: BTreeSet<u16> = (0..50).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| *port < 32_768));
    }
}
