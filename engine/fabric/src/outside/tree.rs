//! The spanning tree of the switches: of several ways between two of them one is left.
//!
//! The protocol's outcome without its messages: the first switch of each connected group is the root, ways are counted in
//! hops, of equal ones the first port wins. It is there the moment a link changes, as with rapid spanning tree and links that
//! are seen to fail.

use std::collections::VecDeque;

use super::{End, Index, OutsideFabric};

impl OutsideFabric {
    /// Decides anew which ports are kept out. Where that changes, learned addresses are forgotten.
    pub(super) fn grow_tree(&mut self) {
        let mut kept_out = vec![false; self.ports.len()];
        if self.spanning_tree {
            let between = |index: &Index| {
                let port = &self.ports[*index as usize];
                match port.end {
                    End::Port(other) if port.up => Some(other),
                    _ => None,
                }
            };
            for (index, out) in (0..).zip(&mut kept_out) {
                *out = between(&index).is_some();
            }
            let mut reached = vec![false; self.switches.len()];
            for root in 0..self.switches.len() {
                if std::mem::replace(&mut reached[root], true) {
                    continue;
                }
                let mut next = VecDeque::from([root]);
                while let Some(switch) = next.pop_front() {
                    for index in &self.switches[switch].ports {
                        let Some(other) = between(index) else { continue };
                        let beyond = self.ports[other as usize].switch;
                        if !std::mem::replace(&mut reached[beyond], true) {
                            kept_out[*index as usize] = false;
                            kept_out[other as usize] = false;
                            next.push_back(beyond);
                        }
                    }
                }
            }
        }
        let mut changed = false;
        for (port, out) in self.ports.iter_mut().zip(kept_out) {
            changed |= std::mem::replace(&mut port.blocking, out) != out;
        }
        if changed {
            self.switches.iter_mut().for_each(|switch| switch.table.remove_learned(|_, _| true));
        }
    }
}
