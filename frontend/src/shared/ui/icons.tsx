/** Line icons on a 24-unit grid, drawn for this page. */
const PATHS = {
  sidebar: "M4 5h16v14H4zM9.500 5v14",
  plus: "M12 5v14M5 12h14",
  microphone:
    "M12 3.500a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0v-5a3 3 0 0 1 3-3zM6 11.500a6 6 0 0 0 12 0M12 17.500V21",
  muted:
    "M15 9.500v-3a3 3 0 0 0-5.800-1.100M9 9v2.500a3 3 0 0 0 4.500 2.600M6 11.500a6 6 0 0 0 9.500 4.900M18 11.500a6 6 0 0 1-.5 2.400M12 17.500V21M4 4l16 16",
  speaker:
    "M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM15 9a4 4 0 0 1 0 6M17.500 6.500a8 8 0 0 1 0 11",
  silent: "M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM15.500 9.500l5 5M20.500 9.500l-5 5",
  send: "M12 19V5.500M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  search: "M11 4.500a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13zM16 16l4 4",
  settings:
    "M4 8h9M17 8h3M4 16h3M11 16h9M13 8a2 2 0 1 0 4 0 2 2 0 0 0-4 0zM7 16a2 2 0 1 0 4 0 2 2 0 0 0-4 0z",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
  check: "M5 12.500l4.500 4.500L19 7.500",
  down: "M12 5v13.500M6 13l6 6 6-6",
  up: "M12 19V5.500M6 11l6-6 6 6",
  choose: "M7 14.500l5-5 5 5",
  close: "M6 6l12 12M18 6L6 18",
  warning: "M12 4.500l8.500 15h-17zM12 10.500v4M12 17h.01",
  retry: "M19 12a7 7 0 1 1-2.100-5M19 4v4h-4",
  help: "M9.200 9.200a2.800 2.800 0 1 1 4 2.500c-.8.500-1.200 1-1.200 2M12 17h.01M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17z",
  ear: "M7 10a5 5 0 0 1 10 0c0 3.500-3 4-3 7a2.500 2.500 0 0 1-5 .3M10 10a2 2 0 0 1 4 0c0 1.500-1.500 1.700-1.500 3.200",
  thought: "M7 12h.01M12 12h.01M17 12h.01",
  wave: "M4 10.500v3M8 7.500v9M12 4.500v15M16 7.500v9M20 10.500v3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      className="icon"
      viewBox="0 0 24 24"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The product's logo: five sound bars. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg className="mark" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <rect width="32" height="32" rx="9" className="mark-ground" />
      <path
        d="M7 14v4M11.500 10.500v11M16 7.500v17M20.500 11.500v9M25 14.500v3"
        className="mark-bars"
        fill="none"
        strokeWidth="2.600"
        strokeLinecap="round"
      />
    </svg>
  );
}
