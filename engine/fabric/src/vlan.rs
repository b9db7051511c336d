//! Which VLANs a port carries, and how.

use varan_contract::engine::AllowedVlans;
use varan_ethernet::VlanTag;

/// A set of VLANs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VlanSet {
    None,
    All,
    Some(Box<[u64; 64]>),
}

impl VlanSet {
    pub(crate) fn of(vlans: &[u16]) -> Self {
        if vlans.is_empty() {
            return Self::None;
        }
        let mut bits = Box::new([0; 64]);
        for vlan in vlans.iter().filter(|vlan| (1..=4_095).contains(*vlan)) {
            bits[usize::from(*vlan >> 6)] |= 1 << (vlan & 63);
        }
        Self::Some(bits)
    }

    pub(crate) fn allowed(vlans: &AllowedVlans) -> Self {
        match vlans {
            AllowedVlans::All => Self::All,
            AllowedVlans::None => Self::None,
            AllowedVlans::Only(vlans) => Self::of(vlans),
        }
    }

    pub(crate) fn contains(&self, vlan: u16) -> bool {
        match self {
            Self::None => false,
            Self::All => (1..4_095).contains(&vlan),
            Self::Some(bits) => bits[usize::from(vlan >> 6 & 63)] >> (vlan & 63) & 1 == 1,
        }
    }

    /// Its VLANs one by one; none for a set of all.
    pub(crate) fn each(&self) -> impl Iterator<Item = u16> + '_ {
        let bits = match self {
            Self::Some(bits) => Some(bits),
            _ => None,
        };
        (1..4_096u16)
            .filter(move |vlan| bits.is_some_and(|bits| bits[usize::from(vlan >> 6)] >> (vlan & 63) & 1 == 1))
    }
}

/// How a port treats tags. VLAN 0 stands for frames without any VLAN, as on a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VlanRule {
    /// VLAN of untagged frames and of those with only a priority.
    pub(crate) port_vlan: u16,
    /// VLANs of which frames pass tagged.
    pub(crate) tagged: VlanSet,
}

impl VlanRule {
    /// VLAN of a frame that comes in with this tag; `None` where the port does not carry it. A tag of the port's own VLAN is
    /// taken as if it were not there, except on a port that knows no tags at all.
    pub(crate) fn enter(&self, tag: Option<VlanTag>) -> Option<u16> {
        match tag {
            Some(tag) if tag.id != 0 => {
                let own = tag.id == self.port_vlan && !matches!(self.tagged, VlanSet::None);
                (own || self.tagged.contains(tag.id)).then_some(tag.id)
            }
            _ => Some(self.port_vlan),
        }
    }

    pub(crate) fn carries(&self, vlan: u16) -> bool {
        vlan == self.port_vlan || self.tagged.contains(vlan)
    }

    /// The tag of a frame of that VLAN as it goes out.
    pub(crate) fn leave(&self, vlan: u16, priority: u8) -> Option<VlanTag> {
        (vlan != self.port_vlan).then_some(VlanTag { id: vlan, priority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_at_a_port() {
        let access = VlanRule { port_vlan: 10, tagged: VlanSet::of(&[]) };
        let trunk = VlanRule { port_vlan: 10, tagged: VlanSet::of(&[20, 4_094]) };
        let all = VlanRule { port_vlan: 0, tagged: VlanSet::All };
        let priority = Some(VlanTag { id: 0, priority: 5 });
        let table: [(&VlanRule, Option<VlanTag>, Option<u16>); 12] = [
            (&access, None, Some(10)),
            (&access, priority, Some(10)),
            (&access, Some(VlanTag::of(10)), None),
            (&access, Some(VlanTag::of(20)), None),
            (&trunk, None, Some(10)),
            (&trunk, Some(VlanTag::of(10)), Some(10)),
            (&trunk, Some(VlanTag::of(20)), Some(20)),
            (&trunk, Some(VlanTag::of(4_094)), Some(4_094)),
            (&trunk, Some(VlanTag::of(21)), None),
            (&all, None, Some(0)),
            (&all, Some(VlanTag::of(4_094)), Some(4_094)),
            (&all, Some(VlanTag::of(4_095)), None),
        ];
        for (rule, tag, expected) in table {
            assert_eq!(rule.enter(tag), expected, "{rule:?} {tag:?}");
        }
        assert_eq!(trunk.leave(10, 3), None);
        assert_eq!(trunk.leave(20, 3), Some(VlanTag { id: 20, priority: 3 }));
        assert_eq!(trunk.tagged.each().collect::<Vec<_>>(), [20, 4_094]);
    }
}
