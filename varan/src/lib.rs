//! The wiring of a site: frames, consoles, their surfaces and processes. The binary is a thin layer over this.

pub mod arguments;
pub mod boot_disks;
pub mod commands;
pub mod console_services;
pub mod control;
pub mod engines;
pub mod fault;
pub mod files;
pub mod firmware_repository;
pub mod frame;
pub mod home;
pub mod inspect;
pub mod line_socket;
pub mod machine;
pub mod remote;
pub mod remote_consoles;
pub mod rest;
pub mod scenario;
pub mod simulation;
pub mod site;
pub mod sites;
pub mod ssh_host;
pub mod tour;
pub mod up;
pub mod vios_shell;
pub mod world;
