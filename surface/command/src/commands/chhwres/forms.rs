//! The forms of `chhwres`.

use crate::form::PartOfForm::{AtMostOne, OneOf, Optional, Required, SomeOf, When};
use crate::form::{Form, PartOfForm};

/// How a dynamic change ends.
const DYNAMIC: &[PartOfForm] = &[Optional("-w"), Optional("-d"), Optional("--force")];
/// How one ends that shows its progress on request.
const VERBOSE: &[PartOfForm] = &[Optional("-w"), Optional("-d"), Optional("--force"), Optional("-v")];

pub(super) static FORMS: &[Form] = &[
    Form::ending(
        &[
            When("-r", &["mem"]),
            Required("-m"),
            When("-o", &["a", "r"]),
            OneOf(&["-p", "--id"]),
            Required("-q"),
        ],
        DYNAMIC,
    ),
    Form::ending(
        &[
            When("-r", &["mem"]),
            Required("-m"),
            When("-o", &["m"]),
            OneOf(&["-p", "--id"]),
            OneOf(&["-t", "--tid"]),
            Required("-q"),
        ],
        DYNAMIC,
    ),
    Form::new(&[
        When("-r", &["mem"]),
        Required("-m"),
        When("-o", &["s"]),
        AtMostOne(&["-p", "--id"]),
        Required("-a"),
    ]),
    Form::ending(
        &[
            When("-r", &["proc"]),
            Required("-m"),
            When("-o", &["a", "r"]),
            OneOf(&["-p", "--id"]),
            SomeOf(&["--procs", "--procunits"]),
        ],
        DYNAMIC,
    ),
    Form::ending(
        &[
            When("-r", &["proc"]),
            Required("-m"),
            When("-o", &["m"]),
            OneOf(&["-p", "--id"]),
            OneOf(&["-t", "--tid"]),
            SomeOf(&["--procs", "--procunits"]),
        ],
        DYNAMIC,
    ),
    Form::new(&[
        When("-r", &["proc"]),
        Required("-m"),
        When("-o", &["s"]),
        OneOf(&["-p", "--id"]),
        Required("-a"),
    ]),
    Form::new(&[
        When("-r", &["mempool", "rspool", "resgroup"]),
        Required("-m"),
        When("-o", &["a", "r", "s"]),
        AtMostOne(&["-p", "--id"]),
        Optional("-a"),
    ]),
    Form::new(&[
        When("-r", &["mempool"]),
        Required("-m"),
        When("-o", &["a", "r"]),
        When("--rsubtype", &["pgdev"]),
        AtMostOne(&["-p", "--id"]),
        Required("--device"),
    ]),
    Form::later(&[When("-r", &["rspool"]), When("--rsubtype", &["rsdev"])]),
    Form::ending(
        &[
            When("-r", &["io"]),
            Required("-m"),
            When("-o", &["a"]),
            OneOf(&["-p", "--id"]),
            Required("-l"),
            Optional("--rsubtype"),
            Optional("-a"),
        ],
        DYNAMIC,
    ),
    Form::ending(
        &[
            When("-r", &["io"]),
            Required("-m"),
            When("-o", &["r"]),
            OneOf(&["-p", "--id"]),
            Required("-l"),
            Optional("--rsubtype"),
        ],
        DYNAMIC,
    ),
    Form::ending(
        &[
            When("-r", &["io"]),
            Required("-m"),
            When("-o", &["m"]),
            OneOf(&["-p", "--id"]),
            OneOf(&["-t", "--tid"]),
            Required("-l"),
            Optional("--rsubtype"),
        ],
        DYNAMIC,
    ),
    Form::new(&[
        When("-r", &["io"]),
        Required("-m"),
        When("-o", &["s"]),
        OneOf(&["-p", "--id"]),
        When("--rsubtype", &["iopool", "taggedio"]),
        Required("-a"),
    ]),
    Form::new(&[When("-r", &["io"]), Required("-m"), When("-o", &["c"]), Optional("-l")]),
    Form::new(&[
        When("-r", &["io"]),
        Required("-m"),
        When("-o", &["c"]),
        When("--rsubtype", &["bus", "slot"]),
        Optional("-l"),
    ]),
    Form::later(&[When("-r", &["sriov"])]),
    Form::ending(
        &[
            When("-r", &["pmem", "hca", "hea", "sni", "accel"]),
            Required("-m"),
            Required("-o"),
            Optional("--rsubtype"),
            AtMostOne(&["-p", "--id"]),
            Optional("-l"),
            Optional("-q"),
            Optional("-a"),
        ],
        DYNAMIC,
    ),
    Form::ending(
        &[
            When("-r", &["virtualio"]),
            Required("-m"),
            When("-o", &["a"]),
            OneOf(&["-p", "--id"]),
            When("--rsubtype", &["eth", "scsi", "fc", "serial"]),
            Optional("-s"),
            Optional("-a"),
        ],
        VERBOSE,
    ),
    Form::ending(
        &[
            When("-r", &["virtualio"]),
            Required("-m"),
            When("-o", &["r"]),
            OneOf(&["-p", "--id"]),
            Required("-s"),
        ],
        VERBOSE,
    ),
    Form::ending(
        &[
            When("-r", &["virtualio"]),
            Required("-m"),
            When("-o", &["r"]),
            OneOf(&["-p", "--id"]),
            When("--rsubtype", &["eth", "scsi", "fc", "serial"]),
            Required("-s"),
        ],
        VERBOSE,
    ),
    Form::ending(
        &[
            When("-r", &["virtualio"]),
            Required("-m"),
            When("-o", &["s"]),
            OneOf(&["-p", "--id"]),
            When("--rsubtype", &["eth"]),
            Required("-s"),
            Required("-a"),
        ],
        VERBOSE,
    ),
    Form::new(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("-o", &["a", "r"]),
        When("--rsubtype", &["vswitch"]),
        Required("--vswitch"),
    ]),
    Form::new(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("-o", &["s"]),
        When("--rsubtype", &["vswitch"]),
        Required("--vswitch"),
        Required("-a"),
    ]),
    Form::new(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("-o", &["s"]),
        OneOf(&["-p", "--id"]),
        When("--rsubtype", &["hsl", "virtualopti"]),
        Required("-a"),
    ]),
    Form::later(&[When("-r", &["virtualio"]), When("--rsubtype", &["vnetwork", "vnic", "vnicbkdev"])]),
    Form::later(&[When("-r", &["virtualio"]), When("-o", &["e", "d"])]),
    Form::new(&[
        When("-r", &["procpool"]),
        Required("-m"),
        When("-o", &["s"]),
        OneOf(&["--poolname", "--poolid", "-p", "--id"]),
        Required("-a"),
    ]),
];
