//! Tests of the filters: tables, comparisons with the host's own tools, and hostile input.

mod compare;
mod compare_expressions;
mod messages;
mod paging;
mod robustness;
mod support;
mod tables;
