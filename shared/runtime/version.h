/*
 * Version: of the programs, as --version and millrace_build_info show it.
 * Formats on disk and on the wire have their own version numbers.
 */
#ifndef MILLRACE_RUNTIME_VERSION_H
#define MILLRACE_RUNTIME_VERSION_H

#define MILLRACE_VERSION "0.1.0"

#endif
