//! Finds the longest match at a place by following all ways at once.
//!
//! The time is at most the program's length times the text's. Among ways to the same match, groups are those
//! of the way that takes earlier alternatives and more repetitions first.

use super::class::{Class, is_word, lower, upper};
use super::tree::{Assertion, Node};
use super::{ExpressionError, GROUPS, Groups};

/// Steps of one program. Intervals are written out, so `(a{100}){100}` takes 10,000.
const STEPS: usize = 40_000;

const UNSET: usize = usize::MAX;

#[derive(Debug, Clone)]
enum Step {
    Character(char),
    Any,
    Class(Class),
    Assertion(Assertion),
    /// Try the first, then the second.
    Split(usize, usize),
    Jump(usize),
    /// Note the position in this slot.
    Save(usize),
    Match,
}

/// A compiled tree.
#[derive(Debug)]
pub(super) struct Program {
    steps: Vec<Step>,
    ignore_case: bool,
}

type Slots = [usize; 2 * GROUPS];

/// Ways that wait for the next character, each at another step, best first.
struct Ways {
    list: Vec<(usize, Slots)>,
    /// For each step the generation that reached it.
    reached: Vec<usize>,
    generation: usize,
}

/// A position in a text.
#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a [u8],
    position: usize,
}

impl Program {
    /// Compiles a tree.
    pub(super) fn new(node: &Node, ignore_case: bool) -> Result<Self, ExpressionError> {
        let mut program = Self { steps: Vec::new(), ignore_case };
        program.node(node)?;
        program.push(Step::Match)?;
        Ok(program)
    }

    fn push(&mut self, step: Step) -> Result<usize, ExpressionError> {
        if self.steps.len() >= STEPS {
            return Err(ExpressionError::TooBig);
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn node(&mut self, node: &Node) -> Result<(), ExpressionError> {
        match node {
            Node::Character(character) => {
                let folded = if self.ignore_case { lower(*character) } else { *character };
                self.push(Step::Character(folded))?;
            }
            Node::Any => drop(self.push(Step::Any)?),
            Node::Class(class) => drop(self.push(Step::Class(class.clone()))?),
            Node::Assertion(assertion) => drop(self.push(Step::Assertion(*assertion))?),
            Node::Group(node, number) if *number < GROUPS => {
                self.push(Step::Save(2 * number))?;
                self.node(node)?;
                self.push(Step::Save(2 * number + 1))?;
            }
            Node::Group(node, _) => self.node(node)?,
            Node::Concatenation(nodes) => {
                for node in nodes {
                    self.node(node)?;
                }
            }
            Node::Alternation(nodes) => self.alternation(nodes)?,
            Node::Repeat { node, minimum, maximum } => self.repeat(node, *minimum, *maximum)?,
        }
        Ok(())
    }

    fn alternation(&mut self, nodes: &[Node]) -> Result<(), ExpressionError> {
        let mut jumps = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if index + 1 == nodes.len() {
                self.node(node)?;
                break;
            }
            let split = self.push(Step::Split(0, 0))?;
            self.node(node)?;
            jumps.push(self.push(Step::Jump(0))?);
            self.steps[split] = Step::Split(split + 1, self.steps.len());
        }
        let end = self.steps.len();
        for jump in jumps {
            self.steps[jump] = Step::Jump(end);
        }
        Ok(())
    }

    fn repeat(&mut self, node: &Node, minimum: u32, maximum: Option<u32>) -> Result<(), ExpressionError> {
        for _ in 0..minimum {
            let before = self.steps.len();
            self.node(node)?;
            if self.steps.len() == before {
                // Nothing to repeat, however often.
                return Ok(());
            }
        }
        let Some(maximum) = maximum else {
            let split = self.push(Step::Split(0, 0))?;
            self.node(node)?;
            self.push(Step::Jump(split))?;
            self.steps[split] = Step::Split(split + 1, self.steps.len());
            return Ok(());
        };
        let mut splits = Vec::new();
        for _ in minimum..maximum {
            splits.push(self.push(Step::Split(0, 0))?);
            self.node(node)?;
        }
        let end = self.steps.len();
        for split in splits {
            self.steps[split] = Step::Split(split + 1, end);
        }
        Ok(())
    }

    /// The longest match that begins at `start`.
    pub(super) fn longest(&self, text: &[u8], start: usize) -> Option<Groups> {
        let ways = || Ways { list: Vec::new(), reached: vec![0; self.steps.len()], generation: 0 };
        let (mut now, mut next) = (ways(), ways());
        let mut best: Option<Slots> = None;
        let mut position = start;
        let mut slots = [UNSET; 2 * GROUPS];
        slots[0] = start;
        now.generation = 1;
        self.follow(&mut now, (0, slots), Place { text, position }, &mut best);
        while position < text.len() && !now.list.is_empty() {
            let (character, width) = decode(text, position);
            let folded =
                character.map(|character| if self.ignore_case { lower(character) } else { character });
            next.list.clear();
            next.generation += 1;
            // The best way so far that ends here wins over later ones of the same length.
            let mut found = None;
            for (step, slots) in &now.list {
                let takes = match &self.steps[*step] {
                    Step::Character(wanted) => self.same(*wanted, character, folded),
                    Step::Any => character.is_some(),
                    Step::Class(class) => character.is_some_and(|one| class.contains(one, self.ignore_case)),
                    _ => false,
                };
                if takes {
                    let place = Place { text, position: position + width };
                    self.follow(&mut next, (step + 1, *slots), place, &mut found);
                }
            }
            best = found.or(best);
            position += width;
            std::mem::swap(&mut now, &mut next);
        }
        best.map(groups)
    }

    fn same(&self, wanted: char, character: Option<char>, folded: Option<char>) -> bool {
        folded == Some(wanted)
            || (self.ignore_case && character.is_some_and(|character| upper(character) == upper(wanted)))
    }

    /// Adds all steps that can be reached without a character.
    fn follow(&self, ways: &mut Ways, from: (usize, Slots), place: Place<'_>, found: &mut Option<Slots>) {
        let mut pending = vec![from];
        while let Some((step, mut slots)) = pending.pop() {
            if ways.reached[step] == ways.generation {
                continue;
            }
            ways.reached[step] = ways.generation;
            match &self.steps[step] {
                Step::Split(first, second) => {
                    pending.push((*second, slots));
                    pending.push((*first, slots));
                }
                Step::Jump(target) => pending.push((*target, slots)),
                Step::Save(slot) => {
                    slots[*slot] = place.position;
                    pending.push((step + 1, slots));
                }
                Step::Assertion(assertion) => {
                    if holds(*assertion, place.text, place.position) {
                        pending.push((step + 1, slots));
                    }
                }
                Step::Match => {
                    slots[1] = place.position;
                    found.get_or_insert(slots);
                }
                _ => ways.list.push((step, slots)),
            }
        }
    }
}

fn groups(slots: Slots) -> Groups {
    let mut groups = [None; GROUPS];
    for (index, group) in groups.iter_mut().enumerate() {
        let (start, end) = (slots[2 * index], slots[2 * index + 1]);
        *group = (start != UNSET && end != UNSET && start <= end).then_some((start, end));
    }
    groups
}

/// The character at a position and its width; `None` for a byte that is not UTF-8.
fn decode(text: &[u8], position: usize) -> (Option<char>, usize) {
    let rest = &text[position..text.len().min(position + 4)];
    let valid = match std::str::from_utf8(rest) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map_or((None, 1), |character| (Some(character), character.len_utf8()))
}

fn holds(assertion: Assertion, text: &[u8], position: usize) -> bool {
    let before = || {
        (1..=4.min(position)).any(|width| {
            let (character, taken) = decode(text, position - width);
            taken == width && character.is_some_and(is_word)
        })
    };
    let after = || position < text.len() && decode(text, position).0.is_some_and(is_word);
    match assertion {
        Assertion::LineStart => position == 0,
        Assertion::LineEnd => position == text.len(),
        Assertion::WordStart => !before() && after(),
        Assertion::WordEnd => before() && !after(),
        Assertion::WordBoundary => before() != after(),
        Assertion::NoWordBoundary => before() == after(),
        Assertion::NoWordBefore => !before(),
        Assertion::NoWordAfter => !after(),
    }
}
