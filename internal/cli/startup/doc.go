// Package startup is what the programs have in common before they do their work: words and exit code of wrong usage
// ([CheckUsage], [Usage]), flags that the environment sets ([FromEnvironment]), variables that look like a setting and are
// none ([Misspelt]), and what to do about an address or a folder that cannot be had ([Explain]).
//
// A flag --log-format is the variable PREFIX and LOG_FORMAT; a flag on the command line goes before its variable.
package startup
