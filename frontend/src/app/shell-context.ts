import { createContext, useContext } from "react";

export const ShellContext = createContext({ isSidebarOpen: false, toggleSidebar() {} });

export const useShell = () => useContext(ShellContext);
